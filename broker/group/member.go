package group

import (
	"bytes"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// parked is a request that waits for its answer; the zero value is none.
type parked struct {
	id      conn.RequestID
	version int16
}

func (p parked) waiting() bool { return p.id != 0 }

// protocol is one way of assigning that a member offers, with what the leader
// needs to know of the member for it.
type protocol struct {
	name     string
	metadata []byte
}

// member is one member of a classic group. A static member (KIP-345) has an
// instance id, under which it may come back with another member id.
type member struct {
	id         string
	instance   *string
	serial     uint64 // names its timer; a new one with every member id
	clientID   string
	clientHost string

	rebalanceTimeout time.Duration
	sessionTimeout   time.Duration
	protocols        []protocol // in the order of the member's preference
	assignment       []byte     // of the present generation, once it is in the log

	// fresh: it has not been told its place in a generation yet, so that it sends
	// no heartbeats.
	fresh bool
	// unsynced: the present generation waits for its SyncGroup.
	unsynced   bool
	join, sync parked
}

// excused says that no heartbeat is due: the coordinator is the one that lets
// the member wait.
func (m *member) excused() bool {
	return !m.fresh && (m.join.waiting() || m.sync.waiting())
}

func (m *member) metadata(name string) []byte {
	for i := range m.protocols {
		if m.protocols[i].name == name {
			return m.protocols[i].metadata
		}
	}
	return nil
}

func (m *member) supports(name string) bool {
	return slices.ContainsFunc(m.protocols, func(p protocol) bool { return p.name == name })
}

// offersSame says that a JoinGroup repeats what the member has said before.
func (m *member) offersSame(protocols []kmsg.JoinGroupRequestProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a protocol, b kmsg.JoinGroupRequestProtocol) bool {
		return a.name == b.Name && bytes.Equal(a.metadata, b.Metadata)
	})
}

// copyProtocols keeps what outlives the request.
func copyProtocols(from []kmsg.JoinGroupRequestProtocol) []protocol {
	list := make([]protocol, len(from))
	for i := range from {
		list[i] = protocol{name: from[i].Name, metadata: bytes.Clone(from[i].Metadata)}
	}
	return list
}

// pendingMember is a member id that was handed out and has not joined with it
// yet (KIP-394).
type pendingMember struct {
	id     string
	serial uint64
}
