package netsim

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// CutID, HoldID and DegradeID name a fault in force. The caller chooses them;
// one id is in force at most once at a time.
type (
	CutID     int32
	HoldID    int32
	DegradeID int32
)

// Pair is an ordered pair of hosts.
type Pair struct{ From, To HostID }

// Match says which frames a hold takes out.
type Match struct {
	// Any matches every frame of either direction between the two sets as given
	// (from -> to). Otherwise only requests match: frames from the host that
	// dialled, whose first two bytes are the API key.
	Any bool
	API int16
}

// Degradation is added to the links that it covers. Several may overlap:
// latencies and parts per million add up, and each rate applies.
type Degradation struct {
	Latency        time.Duration // added to each one-way latency
	Jitter         time.Duration // added uniformly in [-Jitter, +Jitter]
	LossPPM        int32
	BytesPerSecond int64 // one rate shared by all pairs that the fault covers; 0: none
	DuplicatePPM   int32 // TCP drops the copy: it costs bandwidth only
	ReorderPPM     int32 // TCP puts it right: the frame comes one latency later
}

// Cut makes packets from each of from to each of to vanish until Heal. Cuts may
// overlap. A host is never cut from itself.
func (n *Network) Cut(id CutID, from, to []HostID) {}

// CutPairs is Cut for a list of ordered pairs, as Shape.Pairs returns them.
func (n *Network) CutPairs(id CutID, pairs []Pair) {}

// Heal ends a cut. Stalled connections move again at their next
// retransmission.
func (n *Network) Heal(id CutID) {}

// Hold keeps matching frames from each of from to each of to back until
// Release, and what is behind them on the same connection.
func (n *Network) Hold(id HoldID, from, to []HostID, match Match) {}

// Release ends a hold: the frames kept back are due now.
func (n *Network) Release(now clock.Instant, id HoldID) {}

// Degrade makes the links from each of from to each of to worse until Restore.
func (n *Network) Degrade(id DegradeID, from, to []HostID, d Degradation) {}

// Restore ends a degradation.
func (n *Network) Restore(id DegradeID) {}

// ResetConnections resets every connection with one end in a and the other in
// b, as a middlebox does that sends RST to both.
func (n *Network) ResetConnections(now clock.Instant, a, b []HostID) {}

// HalfOpen turns every connection with one end in a and the other in b into a
// black hole, as a middlebox does that forgets its state: both ends believe in
// it, nothing passes, and each end learns of it only by its own retransmission
// limit or by giving up.
func (n *Network) HalfOpen(now clock.Instant, a, b []HostID) {}
