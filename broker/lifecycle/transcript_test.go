package lifecycle

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// Goal: a broker registers, is unfenced, stops in order, and never comes back
// from a shutdown.
// Method: transcripts of what it sends to the controller, what the controller
// answers, and the state that follows.

func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		b := newBench(t)
		datadriven.RunTest(t, path, b.run)
	})
}

// bench is a lifecycle whose controller is the transcript.
type bench struct {
	t       *testing.T
	manager *Manager
	out     edge.Effects
	timers  timer.Queue
	context *step.Context
	asked   caller.Call // the last one
	said    strings.Builder
}

func newBench(t *testing.T) *bench {
	cfg, err := config.ParseBroker(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t}
	b.context = &step.Context{Out: &b.out, Timers: &b.timers}
	b.manager = New(Identity{NodeID: 1, ClusterID: "cluster"}, cfg, b, b)
	return b
}

func (b *bench) Send(_ *step.Context, call caller.Call) {
	b.asked = call
	switch req := b.request().(type) {
	case *kmsg.BrokerRegistrationRequest:
		fmt.Fprintf(&b.said, "-> register previousEpoch=%d\n", req.PreviousBrokerEpoch)
	case *kmsg.BrokerHeartbeatRequest:
		fmt.Fprintf(&b.said, "-> heartbeat epoch=%d offset=%d wantShutdown=%t\n", req.BrokerEpoch, req.CurrentMetadataOffset, req.WantShutdown)
	}
}

func (b *bench) request() kmsg.Request {
	req := kmsg.RequestForKey(b.asked.Key)
	req.SetVersion(b.asked.Version)
	if err := req.ReadFrom(b.asked.Body); err != nil {
		b.t.Fatal(err)
	}
	return req
}

func (b *bench) ControllerFailed(id caller.NodeID) {
	fmt.Fprintf(&b.said, "controller %d has failed\n", id)
}
func (b *bench) SetActiveController(caller.NodeID) {}

func (b *bench) run(t *testing.T, d *datadriven.TestData) string {
	b.said.Reset()
	switch d.Cmd {
	case "start": // previousEpoch
		previous := int64(-1)
		d.MaybeScanArgs(t, "previous", &previous)
		b.manager.Start(b.context, previous)
	case "shutdown":
		b.manager.Shutdown(b.context)
	case "metadata": // up to an offset is applied
		var offset int64
		d.ScanArgs(t, "offset", &offset)
		b.manager.SetMetadataOffset(b.context, offset)
	case "timer": // the next one, whenever it is
		b.context.Now = b.timers.Next()
		id, due := b.timers.Pop(b.context.Now)
		if !due {
			return "none\n"
		}
		b.manager.Timer(b.context, id)
	case "registered", "heartbeat": // the controller's answer to what was last asked
		b.answer(t, d)
	case "lost": // the connection to the controller
		b.manager.Reply(b.context, &caller.Reply{Token: b.asked.Token, From: 100, Status: caller.Disconnected})
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	for _, line := range b.out.Logs {
		fmt.Fprintf(&b.said, "log: %s\n", line.Text)
	}
	b.out.Logs = b.out.Logs[:0]
	fmt.Fprintf(&b.said, "%v, epoch %d\n", b.manager.State(), b.manager.Epoch())
	return b.said.String()
}

func (b *bench) answer(t *testing.T, d *datadriven.TestData) {
	var code string
	d.MaybeScanArgs(t, "error", &code)
	resp := kmsg.ResponseForKey(b.asked.Key)
	resp.SetVersion(b.asked.Version)
	switch resp := resp.(type) {
	case *kmsg.BrokerRegistrationResponse:
		resp.ErrorCode = errorCode(t, code)
		d.MaybeScanArgs(t, "epoch", &resp.BrokerEpoch)
	case *kmsg.BrokerHeartbeatResponse:
		resp.ErrorCode = errorCode(t, code)
		resp.IsFenced, resp.ShouldShutdown = d.HasArg("fenced"), d.HasArg("shutdown")
	}
	b.manager.Reply(b.context, &caller.Reply{
		Token: b.asked.Token, From: 100, Status: caller.OK, Version: b.asked.Version, Body: resp.AppendTo(nil),
	})
}

func errorCode(t *testing.T, name string) int16 {
	t.Helper()
	if name == "" {
		return 0
	}
	for code := int16(1); code < 200; code++ {
		if e := kerr.ErrorForCode(code); e != nil && kerr.TypedErrorForCode(code).Message == name {
			return code
		}
	}
	t.Fatalf("no error is named %s", name)
	return 0
}
