package log

import (
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// Manager holds all logs of one broker, in one data directory.
type Manager struct{ cfg config.Broker }

// Log is one partition's log.
type Log struct{ cfg config.Topic }

// NewManager returns a manager without logs; Boot finds them.
func NewManager(cfg config.Broker) *Manager { return &Manager{cfg: cfg} }

func (m *Manager) Boot(c *step.Context)                        { panic("not yet") }
func (m *Manager) Disk(c *step.Context, r *edge.DiskResult)    { panic("not yet") }
func (m *Manager) Timer(c *step.Context, id timer.ID)          { panic("not yet") }
func (m *Manager) Ready() bool                                 { panic("not yet") }
func (m *Manager) CleanShutdown() bool                         { panic("not yet") }
func (m *Manager) PreviousBrokerEpoch() int64                  { panic("not yet") }
func (m *Manager) SetBrokerEpoch(c *step.Context, epoch int64) { panic("not yet") }
func (m *Manager) Logs() []*Log                                { panic("not yet") }
func (m *Manager) Get(p Partition) *Log                        { panic("not yet") }
func (m *Manager) Create(c *step.Context, p Partition, id meta.TopicID, cfg config.Topic) *Log {
	panic("not yet")
}
func (m *Manager) Delete(c *step.Context, p Partition) { panic("not yet") }
func (m *Manager) TakeChanges(dst []Change) []Change   { panic("not yet") }
func (m *Manager) Shutdown(c *step.Context)            { panic("not yet") }
func (m *Manager) Stopped() bool                       { panic("not yet") }

func (l *Log) Partition() Partition                                        { panic("not yet") }
func (l *Log) TopicID() meta.TopicID                                       { panic("not yet") }
func (l *Log) Config() *config.Topic                                       { return &l.cfg }
func (l *Log) SetConfig(cfg config.Topic)                                  { l.cfg = cfg }
func (l *Log) StartOffset() int64                                          { panic("not yet") }
func (l *Log) EndOffset() int64                                            { panic("not yet") }
func (l *Log) AppendEnd() int64                                            { panic("not yet") }
func (l *Log) FlushedOffset() int64                                        { panic("not yet") }
func (l *Log) HighWatermark() int64                                        { panic("not yet") }
func (l *Log) SetHighWatermark(offset int64)                               { panic("not yet") }
func (l *Log) Size() int64                                                 { panic("not yet") }
func (l *Log) LatestEpoch() int32                                          { panic("not yet") }
func (l *Log) EpochStart(epoch int32) (int64, bool)                        { panic("not yet") }
func (l *Log) EpochAt(offset int64) int32                                  { panic("not yet") }
func (l *Log) EndOffsetForEpoch(epoch int32) (int32, int64)                { panic("not yet") }
func (l *Log) AssignEpoch(c *step.Context, epoch int32, startOffset int64) { panic("not yet") }
func (l *Log) Append(c *step.Context, b *edge.Buffer, from, to int, leaderEpoch int32) (AppendInfo, error) {
	panic("not yet")
}
func (l *Log) AppendFollower(c *step.Context, b *edge.Buffer, from, to int) error { panic("not yet") }
func (l *Log) TruncateTo(c *step.Context, offset int64)                           { panic("not yet") }
func (l *Log) TruncateFullyAndStartAt(c *step.Context, offset int64)              { panic("not yet") }
func (l *Log) AdvanceStart(c *step.Context, offset int64)                         { panic("not yet") }
func (l *Log) Read(c *step.Context, from int64, maxBytes int, limit int64, minOneBatch bool, dst []edge.Slice) ReadResult {
	panic("not yet")
}
func (l *Log) OffsetForTime(c *step.Context, ms, limit int64) TimeResult  { panic("not yet") }
func (l *Log) MaxTimestampOffset(c *step.Context, limit int64) TimeResult { panic("not yet") }
func (l *Log) Retention(c *step.Context)                                  { panic("not yet") }
func (l *Log) Flush(c *step.Context)                                      { panic("not yet") }
