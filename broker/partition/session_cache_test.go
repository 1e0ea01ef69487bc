package partition

import (
	"math"
	"testing"
	"time"
)

// Goal: the cache of fetch sessions gives way as KIP-227 says: first the session
// that nobody has used for a while, then, for a follower, a consumer's, then a smaller
// one that has had its time; otherwise who comes late fetches without one.
func TestSessionsGiveWay(t *testing.T) {
	const consumer, replica = int32(-1), int32(2)
	old := sessionEvictionAge + time.Second
	for _, test := range []struct {
		name           string
		owners         []int32 // of the two that fill the cache
		parts          [2]int  // of theirs
		age            time.Duration
		used           bool // both are, all the time
		owner          int32
		wants          int
		evicted, takes bool
	}{
		{"unused for long", []int32{replica, replica}, [2]int{9, 9}, old, false, consumer, 1, true, true},
		{"in use, consumer asks", []int32{consumer, consumer}, [2]int{1, 2}, time.Second, true, consumer, 9, false, false},
		{"in use, old and smaller", []int32{consumer, consumer}, [2]int{1, 2}, old, true, consumer, 9, true, true},
		{"in use, old and not smaller", []int32{consumer, consumer}, [2]int{3, 3}, old, true, consumer, 3, false, false},
		{"follower before consumers", []int32{consumer, consumer}, [2]int{9, 9}, time.Second, true, replica, 1, true, true},
		{"consumer not before followers", []int32{replica, replica}, [2]int{1, 1}, old, true, consumer, 9, false, false},
		{"follower among young followers", []int32{replica, replica}, [2]int{1, 1}, time.Second, true, replica, 9, false, false},
		{"follower among old and smaller ones", []int32{replica, replica}, [2]int{1, 2}, old, true, replica, 9, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 3, 2)
			m := w.node(1).parts
			m.sessions.list, m.sessions.parts = nil, 0
			m.sessions.init(2)
			open := func(owner int32, parts int) *session {
				f := &Fetch{ReplicaID: owner, SessionEpoch: sessionEpochInitial}
				for i := range parts {
					f.Asks = append(f.Asks, FetchAsk{Topic: worldTopic, Partition: int32(i)})
				}
				s, code := m.openSession(w.node(1).context(), f)
				if code != errNone {
					t.Fatalf("error %d", code)
				}
				return s
			}
			first := open(test.owners[0], test.parts[0])
			second := open(test.owners[1], test.parts[1])
			w.now = w.now.Add(test.age)
			if test.used {
				first.lastUsed, second.lastUsed = w.now, w.now
			}
			got := open(test.owner, test.wants)
			left := 0
			for _, s := range []*session{first, second} {
				if s.id != 0 {
					left++
				}
			}
			if (got.id != 0) != test.takes || (left == 1) != test.evicted || len(m.sessions.list) != 2 {
				t.Errorf("session %d, %d of two are left, %d in the cache", got.id, left, len(m.sessions.list))
			}
			if test.evicted && test.parts[0] < test.parts[1] && first.id != 0 {
				t.Error("the larger one has gone")
			}
		})
	}
}

// A session's epoch never becomes 0 again, which asks for a new one.
func TestSessionEpochWraps(t *testing.T) {
	if nextEpoch(1) != 2 || nextEpoch(math.MaxInt32) != 1 {
		t.Errorf("%d, %d", nextEpoch(1), nextEpoch(math.MaxInt32))
	}
}
