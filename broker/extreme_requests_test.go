package broker_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-604ea8f1/windtunnel/broker/api"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// asker sends one request after the other, each over a connection of its own. It
// waits a little for each answer, and leaves what waits longer open.
type asker struct {
	visitor
	requests []kmsg.Request
	answered int
	shut     int
	open     map[edge.ConnID]bool
}

const answerTime = 300 * time.Millisecond

func (a *asker) Step(ev *edge.Event, out *edge.Effects) {
	if ev.Now < clock.Instant(10*time.Second) { // until there are a topic and a coordinator
		a.visitor.Step(ev, out)
		return
	}
	switch ev.Kind {
	case edge.EventConnOpened:
		a.open[ev.Conn] = true
		if len(a.requests) > 0 {
			req := a.requests[0]
			a.requests = a.requests[1:]
			a.send(ev.Conn, req, req.GetVersion(), out)
		}
	case edge.EventFrame:
		ev.Frame.Release()
		a.answered++
		if a.open[ev.Conn] {
			delete(a.open, ev.Conn)
			out.Close = append(out.Close, ev.Conn)
		}
		a.next = min(a.next, ev.Now)
	case edge.EventConnClosed:
		if a.open[ev.Conn] {
			a.shut++
		}
		delete(a.open, ev.Conn)
		a.next = min(a.next, ev.Now)
	}
	switch {
	case len(a.requests) == 0:
		a.next = clock.Never
	case ev.Now >= a.next:
		a.dials++
		out.Dials = append(out.Dials, edge.Dial{ID: a.dials, Host: "node", Port: 9092})
		a.next = ev.Now.Add(answerTime)
	}
	out.Wake = a.next
}

// fill gives every field of a request the same number, or what comes nearest to it,
// lists two equal elements, and texts the name of what there is.
func fill(v reflect.Value, name string, n int64) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, n)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				fill(v.Field(i), f.Name, n)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("bytes"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), name, n)
		}
	case reflect.String:
		text := "t"
		switch {
		case strings.Contains(name, "Group") || strings.Contains(name, "Coordinator"):
			text = "g"
		case name == "MemberID": // who has none yet is let in
			text = ""
		}
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(n&1 == 1)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if name == "SessionTimeoutMillis" {
			n = 10_000 // another one is refused
		}
		bits := v.Type().Bits()
		v.SetInt(max(min(n, 1<<(bits-1)-1), -1<<(bits-1)))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(max(n, 0)) & (1<<v.Type().Bits() - 1))
	case reflect.Float64:
		v.SetFloat(float64(n))
	}
}

// Goal: no number in a request makes a node fall over or go round in circles. Method:
// every request that is served, in every version, with one number in all of its fields:
// the bounds of each, those that protocols give a meaning of their own, and small ones.
func TestExtremeRequests(t *testing.T) {
	a := &asker{open: make(map[edge.ConnID]bool)}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.SetVersion(5)
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, 1
	create.Topics = append(create.Topics, topic)
	for _, n := range []int64{math.MinInt64, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 8, math.MaxInt64} {
		for _, k := range api.Keys() {
			a.requests = append(a.requests, create) // it may have been deleted
			for version := k.Min; version <= k.Max; version++ {
				if kmsg.Key(k.Key) == kmsg.UnregisterBroker && n == 1 {
					continue // the node itself
				}
				req := kmsg.RequestForKey(k.Key)
				req.SetVersion(version)
				fill(reflect.ValueOf(req).Elem(), "", n)
				a.requests = append(a.requests, req)
			}
		}
	}
	all := len(a.requests)
	node := visit(t, a, clock.Instant(10*time.Second).Add(time.Duration(all)*answerTime), smallWith("group.initial.rebalance.delay.ms", "0")...)
	if a.answered+a.shut < all*9/10 {
		t.Errorf("of %d requests %d were answered, and %d connections closed", all, a.answered, a.shut)
	}
	t.Logf("%d requests, %d answered, %d connections closed, %d left, %d to send", all, a.answered, a.shut, len(a.open), len(a.requests))
	if !node.Ready() || len(a.requests) > 0 {
		t.Errorf("ready: %v, %d requests were not sent", node.Ready(), len(a.requests))
	}
}
