// Package partition owns the broker's replicas: who leads, the in-sync set, the
// high watermark, the requests that wait for either, and the fetchers that copy
// other brokers' partitions.
//
// It never touches a file (broker/log does), never parses a client's request
// (broker/api does) and never chooses a leader (broker/controller does).
package partition

import (
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// Role is what this broker is for a partition.
type Role uint8

// The roles.
const (
	Offline Role = iota
	Leader
	Follower
)

// Partition is this broker's replica of one partition.
type Partition struct{}

func (p *Partition) Key() log.Partition    { panic("not yet") }
func (p *Partition) TopicID() meta.TopicID { panic("not yet") }
func (p *Partition) Role() Role            { panic("not yet") }
func (p *Partition) LeaderEpoch() int32    { panic("not yet") }
func (p *Partition) ISR() []int32          { panic("not yet") }
func (p *Partition) StartOffset() int64    { panic("not yet") }
func (p *Partition) EndOffset() int64      { panic("not yet") }
func (p *Partition) HighWatermark() int64  { panic("not yet") }
func (p *Partition) Log() *log.Log         { panic("not yet") }

// Manager holds every replica of one broker.
type Manager struct{}

// NewManager makes the manager of a broker that holds no replica yet.
func NewManager(cfg config.Broker, brokerID int32, logs *log.Manager, sender caller.Sender) *Manager {
	panic("not yet")
}

func (m *Manager) SetBrokerEpoch(epoch int64)                         { panic("not yet") }
func (m *Manager) Start(c *step.Context)                              { panic("not yet") }
func (m *Manager) Apply(c *step.Context, old, image *meta.Image)      { panic("not yet") }
func (m *Manager) RemoveStrays(c *step.Context)                       { panic("not yet") }
func (m *Manager) LogChanges(c *step.Context, changes []log.Change)   { panic("not yet") }
func (m *Manager) Timer(c *step.Context, id timer.ID)                 { panic("not yet") }
func (m *Manager) Reply(c *step.Context, r *caller.Reply)             { panic("not yet") }
func (m *Manager) Get(key log.Partition) *Partition                   { panic("not yet") }
func (m *Manager) Partitions() []*Partition                           { panic("not yet") }
func (m *Manager) Leaders() int                                       { panic("not yet") }
func (m *Manager) TakeTouched(dst []*Partition) []*Partition          { panic("not yet") }
func (m *Manager) TakeInternal(dst []InternalResult) []InternalResult { panic("not yet") }

// InternalKind says what an InternalResult ends.
type InternalKind uint8

// The kinds.
const (
	InternalAppended InternalKind = iota + 1 // an AppendInternal is decided
	InternalLoaded                           // read again: what ReadInternal found Loading is in memory
)

// InternalResult is how an AppendInternal or a cold ReadInternal ended.
type InternalResult struct {
	Kind  InternalKind
	Token edge.Token
	// Error is a Kafka error code: 0 when the records are below the high
	// watermark; NOT_LEADER_OR_FOLLOWER when the outcome is not known because
	// leadership was lost.
	Error      int16
	BaseOffset int64
	LastOffset int64
}

// AppendInternal appends one batch as acks=all for a coordinator of this broker.
// Every call is answered by one InternalResult with the token, errors included;
// the return values tell early where the batch went, so that a coordinator can
// replay it at once. The buffer is retained while it is needed.
func (m *Manager) AppendInternal(c *step.Context, key log.Partition, batch *edge.Buffer, token edge.Token) (baseOffset int64, errorCode int16) {
	panic("not yet")
}

// ReadInternal reads whole batches of a partition led by this broker, from an
// offset up to the log end. When the result is Loading, an InternalResult of
// kind InternalLoaded with the token follows.
func (m *Manager) ReadInternal(c *step.Context, key log.Partition, from int64, maxBytes int, token edge.Token, dst []edge.Slice) log.ReadResult {
	panic("not yet")
}
