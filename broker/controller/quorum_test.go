package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Goal: the quorum repeats exactly. Method: each seed runs twice through
// elections, crashes and losses; the hashes of all events must agree.
func TestQuorumIsDeterministic(t *testing.T) {
	elections := 0
	for seed := range uint64(200) {
		run := func() (uint64, int) {
			w := newWorld(t, seed, 3)
			w.drop = int(seed % 10)
			w.run(4 * time.Second)
			if n := w.active(); n != nil {
				w.crash(n.index)
				w.run(5 * time.Second)
				w.boot(n.index)
			}
			w.run(2 * time.Second)
			return w.trace, len(w.leader)
		}
		a, n := run()
		b, _ := run()
		if a != b {
			t.Fatalf("seed %d: traces %x and %x differ", seed, a, b)
		}
		elections += n
	}
	if elections < 200 {
		t.Fatalf("only %d leaders in 200 runs", elections)
	}
}

func createTopic(name string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 1, 1
	req.Topics = append(req.Topics, rt)
	return req
}

func registration(id int32) *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.PreviousBrokerEpoch = 4, id, "toy", -1
	req.IncarnationID = [16]byte{byte(id), 1}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", fmt.Sprintf("b%d", id), 9092
	req.Listeners = append(req.Listeners, l)
	return req
}

// Goal: one leader per term, equal images at equal offsets, nothing lost that
// was acknowledged, and an end to every disturbance. Method: random crashes that
// lose unsynced data, cuts and message loss, with requests in between; the world
// checks the first two after every step.
func TestQuorumSurvives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rapid.Uint64().Draw(rt, "seed"), 3)
		var acknowledged []string
		for i := range rapid.IntRange(5, 40).Draw(rt, "steps") {
			node := rapid.IntRange(0, 2).Draw(rt, "node")
			switch rapid.IntRange(0, 7).Draw(rt, "what") {
			case 0:
				if rapid.Bool().Draw(rt, "power") {
					w.crash(node)
				} else {
					w.kill(node)
				}
			case 1, 2:
				if n := w.nodes[node]; !n.up && n.halted == "" {
					w.boot(node)
				}
			case 3:
				w.cut[node] = !w.cut[node]
			case 4:
				w.drop = rapid.IntRange(0, 40).Draw(rt, "drop")
			default:
				if n := w.active(); n != nil {
					n.call(registration(0))
					beat := kmsg.NewPtrBrokerHeartbeatRequest()
					beat.BrokerID, beat.CurrentMetadataOffset = 0, 1<<40
					if b := n.k.Image().Broker(0); b != nil {
						beat.BrokerEpoch = b.Epoch
					}
					if n.up {
						n.call(beat)
					}
					for j := range 12 {
						name := fmt.Sprintf("t%d-%d", i, j)
						if !n.up {
							break
						}
						resp, ok := n.call(createTopic(name)).(*kmsg.CreateTopicsResponse)
						if ok && resp.Topics[0].ErrorCode == 0 {
							acknowledged = append(acknowledged, name)
						}
					}
				}
			}
			w.run(time.Duration(rapid.IntRange(1, 4000).Draw(rt, "ms")) * time.Millisecond)
		}
		checkHealed(rt, w, acknowledged)
	})
}

// checkHealed ends every disturbance and compares the nodes.
func checkHealed(rt *rapid.T, w *world, acknowledged []string) {
	w.drop = 0
	for i, n := range w.nodes {
		w.cut[i] = false
		if n.halted != "" {
			rt.Fatalf("node %d halted: %s", i, n.halted)
		}
		if !n.up {
			w.boot(i)
		}
	}
	w.run(20 * time.Second)
	n := w.active()
	if n == nil {
		rt.Fatalf("no active controller after healing\n%s", w.notes.String())
	}
	for _, name := range acknowledged {
		if n.k.Image().Topic(name) == nil {
			rt.Fatalf("topic %s was acknowledged and is lost\n%s", name, w.notes.String())
		}
	}
	for i, other := range w.nodes {
		if other.k.Applied() != n.k.Applied() {
			rt.Fatalf("node %d is at offset %d, the active controller at %d\n%s", i, other.k.Applied(), n.k.Applied(), w.notes.String())
		}
	}
}

// Goal: a controller that loses its majority answers those who wait, and what
// it had proposed alone does not survive. Method: cut the active controller off
// with requests pending, let the others go on, and heal.
func TestResignAnswersPending(t *testing.T) {
	w := newWorld(t, 21, 3)
	w.run(3 * time.Second)
	old := w.active()
	old.call(registration(1))
	w.cut[old.index] = true
	lost := old.ask(allocate(old))
	read := old.ask(heartbeatOf(old, 1))
	beat := old.ask(heartbeatOf(old, 7))
	if len(old.responses) != 1 {
		t.Fatalf("%d answers before anything was committed", len(old.responses)-1)
	}
	w.run(8 * time.Second)
	if old.k.IsActive() {
		t.Fatal("still active without a majority")
	}
	for _, id := range []conn.RequestID{lost, read, beat} {
		code := int16(0)
		switch resp := old.responses[id].(type) {
		case *kmsg.AllocateProducerIDsResponse:
			code = resp.ErrorCode
		case *kmsg.BrokerHeartbeatResponse:
			code = resp.ErrorCode
		}
		if code != kerr.NotController.Code {
			t.Fatalf("request %d: error %d", id, code)
		}
	}
	n := w.active()
	if n == nil || n == old {
		t.Fatalf("no other controller is active\n%s", w.notes.String())
	}
	start := n.call(allocate(n)).(*kmsg.AllocateProducerIDsResponse).ProducerIDStart
	w.cut[old.index] = false
	w.run(5 * time.Second)
	if start != 0 || n.k.Image().NextProducerID != producerIDBlock || !old.k.Image().Equal(n.k.Image()) {
		t.Fatalf("block %d, next %d", start, n.k.Image().NextProducerID)
	}
}

func heartbeatOf(n *toyNode, broker int32) *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version, req.BrokerID, req.CurrentMetadataOffset = 1, broker, n.k.Applied()
	if b := n.k.Image().Broker(broker); b != nil {
		req.BrokerEpoch = b.Epoch
	}
	return req
}

// Goal: what waits is bounded. Method: more requests than pendingMax at a
// controller without a majority.
func TestPendingIsBounded(t *testing.T) {
	w := newWorld(t, 22, 3)
	w.run(3 * time.Second)
	n := w.active()
	n.call(registration(1))
	w.cut[n.index] = true
	for range pendingMax {
		n.ask(allocate(n))
	}
	before := len(n.responses)
	id := n.ask(allocate(n))
	resp, ok := n.responses[id].(*kmsg.AllocateProducerIDsResponse)
	if !ok || resp.ErrorCode != kerr.RequestTimedOut.Code || len(n.responses) != before+1 {
		t.Fatalf("%+v", resp)
	}
}

// Goal: a replaced disk neither elects a controller that lacks what was
// committed, nor stays behind. Method: commit on two nodes, wipe one of them,
// then leave it alone with the node that missed the commit.
func TestReplacedDisk(t *testing.T) {
	for seed := range uint64(40) {
		w := newWorld(t, seed, 3)
		w.run(3 * time.Second)
		leader := w.active()
		wiped, behind := w.nodes[(leader.index+1)%3], w.nodes[(leader.index+2)%3]
		leader.call(registration(1))
		w.run(time.Second)
		w.cut[behind.index] = true
		if resp := leader.call(allocate(leader)).(*kmsg.AllocateProducerIDsResponse); resp.ErrorCode != 0 {
			t.Fatalf("seed %d: error %d", seed, resp.ErrorCode)
		}
		w.crash(wiped.index)
		w.crash(leader.index)
		wiped.disk = newToyDisk()
		w.cut[behind.index] = false
		w.boot(wiped.index)
		w.run(10 * time.Second)
		if n := w.active(); n != nil {
			t.Fatalf("seed %d: node %d is active without the committed block", seed, n.index)
		}
		w.boot(leader.index)
		w.run(10 * time.Second)
		n := w.active()
		if n == nil || n.k.Image().NextProducerID != producerIDBlock || wiped.k.Applied() != n.k.Applied() {
			t.Fatalf("seed %d: not healed\n%s", seed, w.notes.String())
		}
		// Once more under a leader that stays: it has to learn of the loss.
		if wiped == n {
			wiped = w.nodes[(n.index+1)%3]
		}
		w.crash(wiped.index)
		wiped.disk = newToyDisk()
		w.boot(wiped.index)
		w.run(15 * time.Second)
		if n = w.active(); n == nil || wiped.k.Applied() != n.k.Applied() || wiped.k.quorum.fresh {
			t.Fatalf("seed %d: the replaced disk stays behind\n%s", seed, w.notes.String())
		}
	}
}
