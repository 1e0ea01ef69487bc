package netsim

import "slices"

// Stats counts what has happened since New, and what is in flight.
type Stats struct {
	Zones []string // in order of first appearance in the topology
	// BytesByZonePair[i*len(Zones)+j] are the bytes of frames handed over from
	// zone i to zone j, without retransmissions.
	BytesByZonePair []int64

	Dials           int64
	DialsFailed     int64 // refused, timed out, unknown host
	Opened          int64 // connections whose dialer was told
	FramesSent      int64
	FramesDelivered int64
	FramesDropped   int64 // lost with their connection, or written to a dead one
	FramesHeld      int64
	FramesLost      int64 // a packet loss drawn from a link's rate
	Retransmissions int64
	Resets          int64 // ends told of a reset (not of an orderly close)
	TimedOut        int64 // ends that reached the retransmission limit

	FramesInFlight int64
	BytesInFlight  int64
	Connections    int64 // now, half-open and dialling ones included
}

// Stats returns the counters; the slices are copies.
func (n *Network) Stats() Stats {
	s := n.stats
	s.Zones, s.BytesByZonePair = slices.Clone(s.Zones), slices.Clone(s.BytesByZonePair)
	return s
}
