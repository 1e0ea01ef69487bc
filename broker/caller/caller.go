// Package caller owns every request that a node sends to another node: the
// connections, the correlation ids, the time-outs. It never knows what a
// request means; the reply goes back to the component named by its token.
package caller

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// NodeID is a broker's or controller's node.id.
type NodeID = int32

// ActiveController addresses whichever controller is active, as far as is
// known; the caller asks the voters in turn while it is not.
const ActiveController NodeID = -1

// Channel is one of the connections that a node keeps to another one. Requests
// on a channel are answered in order, so that one that may wait long (a fetch)
// does not share a channel with one that must not (a heartbeat).
type Channel uint8

// The channels.
const (
	ChannelControl  Channel = iota // registration, heartbeats, AlterPartition
	ChannelMetadata                // the long poll for metadata records
	ChannelForward                 // clients' admin requests, forwarded
	ChannelRaft                    // messages between controllers
	ChannelSnapshot                // those with a snapshot, which take long
	ChannelFetch                   // replica fetches (and OffsetForLeaderEpoch)
)

// toBrokers tells a channel to brokers from one to controllers.
func (c Channel) toBrokers() bool { return c == ChannelFetch }

// Call is a request to another node.
type Call struct {
	To      NodeID
	Channel Channel
	Key     int16
	Version int16
	Body    []byte // the encoded request without its header; read during Send only
	Token   edge.Token
	Timeout time.Duration // from now to the reply; the connection is closed when it passes. Zero: request.timeout.ms
}

// Status tells how a call ended.
type Status uint8

// The ways in which a call ends.
const (
	OK           Status = iota
	Disconnected        // no connection, or it was lost before the reply: the request may have been carried out
	TimedOut            // no reply in time: the request may have been carried out
	Unknown             // the node's address, or the active controller, is not known
)

func (s Status) String() string {
	return [...]string{"ok", "disconnected", "timed out", "unknown node"}[s]
}

// Reply is how a call ended. Body aliases Frame, which lives during the
// dispatch of the reply only, unless it is retained. The frame of a fetch may be
// in pieces; read it with wire.FetchResponse.ReadFrame.
type Reply struct {
	Token   edge.Token
	From    NodeID // the node that answered, also for ActiveController
	Key     int16
	Version int16
	Status  Status
	Body    []byte // the encoded response without its header
	Frame   *edge.Buffer
	BodyAt  int // where Body begins in Frame
}

// EncodeCall builds a call for a kmsg request; its version must be set.
func EncodeCall(to NodeID, channel Channel, req kmsg.Request, token edge.Token) Call {
	return Call{
		To: to, Channel: channel, Key: req.Key(), Version: req.GetVersion(),
		Body: req.AppendTo(nil), Token: token,
	}
}
