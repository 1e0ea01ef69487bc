package host

import (
	"math"
	"time"
)

// pooledPart is the part of the memory for frames that is kept for reuse while no
// frame or read needs it. Less, and a fast producer's frames come back in bursts that
// are thrown away and allocated anew.
const pooledPart = 4

// filesPart is the part of all descriptors that connections leave to files: a node
// that cannot open a segment halts, so that whoever connects often enough would
// take it down.
const filesPart = 4

// Limits bound what peers can make a host hold. A zero field has its default.
type Limits struct {
	FrameBytes          int           // largest frame (socket.request.max.bytes); 100 MiB
	Connections         int           // open at a time (max.connections); no limit in Kafka, 1<<20 here, and never so many that no files could be opened
	ConnectionsPerIP    int           // of one peer's address (max.connections.per.ip); as Connections
	InFlightBytes       int64         // of all frames of requests that have not been answered (queued.max.request.bytes); 256 MiB
	IdleTime            time.Duration // until a silent connection is closed (connections.max.idle.ms); 10 min; negative: never
	SlowClientBytes     int           // written and not yet taken by one client, beyond one frame; 64 MiB
	UnreadBytes         int64         // the same of all clients together; 1 GiB
	ShutdownTime        time.Duration // of a controlled shutdown; 5 min
	HandshakeTime       time.Duration // of TLS, in either direction; 10 s
	FrameTime           time.Duration // in which a frame that has begun must arrive; 30 s, more for long ones
	DialTime            time.Duration // of one attempt to connect; 10 s
	FlushTime           time.Duration // for connections that are closed to take what was sent; 5 s
	FrameBytesPerSecond int           // the rate that FrameTime grows by for long frames; 32 KiB/s
}

func (l Limits) orDefaults() Limits {
	def(&l.FrameBytes, 100<<20)
	def(&l.Connections, 1<<20)
	if all := descriptorsMax(); all > 0 {
		l.Connections = min(l.Connections, all-all/filesPart)
	}
	def(&l.ConnectionsPerIP, l.Connections)
	def(&l.InFlightBytes, 256<<20)
	if l.IdleTime < 0 {
		l.IdleTime = math.MaxInt64
	}
	def(&l.IdleTime, 10*time.Minute)
	def(&l.SlowClientBytes, 64<<20)
	def(&l.UnreadBytes, 1<<30)
	def(&l.ShutdownTime, 5*time.Minute)
	def(&l.HandshakeTime, 10*time.Second)
	def(&l.FrameTime, 30*time.Second)
	def(&l.DialTime, 10*time.Second)
	def(&l.FlushTime, 5*time.Second)
	def(&l.FrameBytesPerSecond, 32<<10)
	return l
}

func def[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// frameTime is how long a frame of n bytes may take to arrive once its first
// byte is there.
func (l *Limits) frameTime(n int) time.Duration {
	return l.FrameTime + time.Duration(n)*time.Second/time.Duration(l.FrameBytesPerSecond)
}
