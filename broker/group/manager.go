// Package group owns the classic group protocol of Kafka 4.4: who is a member
// of which group, which generation a group is in, and what has been committed.
package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// Manager is the group coordinator of one broker.
type Manager struct {
	cfg        config.Broker
	partitions *partition.Manager
	responder  conn.Responder
}

// NewManager returns a coordinator that leads no group yet.
func NewManager(cfg config.Broker, partitions *partition.Manager, responder conn.Responder) *Manager {
	return &Manager{cfg: cfg, partitions: partitions, responder: responder}
}

// Timer handles a deadline of a group.
func (m *Manager) Timer(c *step.Context, id timer.ID) {}

// Apply takes up and gives up coordinator shards by the metadata.
func (m *Manager) Apply(c *step.Context, old, image *meta.Image) {}

// Settle handles what the partitions have decided; it tells whether there was
// anything.
func (m *Manager) Settle(c *step.Context) bool { return false }

// OffsetCommit handles API key 8.
func (m *Manager) OffsetCommit(c *step.Context, r *conn.Request) { m.responder.Disconnect(c, r.ID) }

// OffsetFetch handles API key 9.
func (m *Manager) OffsetFetch(c *step.Context, r *conn.Request) { m.responder.Disconnect(c, r.ID) }

// JoinGroup handles API key 11.
func (m *Manager) JoinGroup(c *step.Context, r *conn.Request) { m.responder.Disconnect(c, r.ID) }

// Heartbeat handles API key 12.
func (m *Manager) Heartbeat(c *step.Context, r *conn.Request) { m.responder.Disconnect(c, r.ID) }

// LeaveGroup handles API key 13.
func (m *Manager) LeaveGroup(c *step.Context, r *conn.Request) { m.responder.Disconnect(c, r.ID) }

// SyncGroup handles API key 14.
func (m *Manager) SyncGroup(c *step.Context, r *conn.Request) { m.responder.Disconnect(c, r.ID) }
