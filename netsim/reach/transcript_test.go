package reach_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/netsim/reach"
)

// Goal: each fault as a picture that a reader can check. Method: commands, and
// after each one the matrix of who reaches whom, measured.
//
// Hosts are named by a letter for the zone and a number; the letter alone stands
// for the hosts of the zone.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *story
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "network" {
				s = newStory(t, d)
				return ""
			}
			return s.command(t, d)
		})
	})
}

// roundsMax is how many matrices one network can show.
const roundsMax = 20

type story struct {
	n     *netsim.Network
	m     *reach.Mesh
	names []string
	round int // the next one that is quiet
}

func newStory(t *testing.T, d *datadriven.TestData) *story {
	s := &story{}
	topology := netsim.Topology{
		SameZone:  netsim.Link{Latency: netsim.Constant(time.Millisecond)},
		CrossZone: netsim.Link{Latency: netsim.Constant(10 * time.Millisecond)},
	}
	for _, a := range d.CmdArgs {
		s.names = append(s.names, a.Key)
		topology.Hosts = append(topology.Hosts, netsim.Host{Name: a.Key, Zone: a.Key[:1], Ports: reach.Ports(roundsMax)})
	}
	s.n = netsim.New(topology, 1)
	for h := range s.names {
		s.n.SetListening(netsim.HostID(h), true)
	}
	s.m = reach.New(s.n, 0, len(s.names), roundsMax)
	for round := range roundsMax - 1 {
		s.m.Dial(round)
	}
	s.run(t, later)
	return s
}

func (s *story) run(t *testing.T, d time.Duration) {
	if err := s.m.Run(s.m.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

// hosts are those of an argument; a zone's letter stands for its hosts.
func (s *story) hosts(d *datadriven.TestData, key string) (out []netsim.HostID) {
	for _, a := range d.CmdArgs {
		for h, name := range s.names {
			if a.Key == key && (slices.Contains(a.Vals, name) || slices.Contains(a.Vals, name[:1])) {
				out = append(out, netsim.HostID(h))
			}
		}
	}
	return out
}

func (s *story) command(t *testing.T, d *datadriven.TestData) string {
	id, api := 0, 0
	d.MaybeScanArgs(t, "id", &id)
	d.MaybeScanArgs(t, "api", &api)
	switch d.Cmd {
	case "cut":
		s.n.Cut(netsim.CutID(id), s.hosts(d, "from"), s.hosts(d, "to"))
	case "shape":
		for _, shape := range shapes {
			if d.HasArg(shape.String()) {
				s.n.CutPairs(netsim.CutID(id), shape.Pairs(s.hosts(d, "of"), rand.NewPCG(7, 0)))
			}
		}
	case "heal":
		s.n.Heal(netsim.CutID(id))
	case "half-open":
		s.n.HalfOpen(s.m.Now(), s.hosts(d, "a"), s.hosts(d, "b"))
	case "reset":
		s.n.ResetConnections(s.m.Now(), s.hosts(d, "a"), s.hosts(d, "b"))
	case "hold":
		s.n.Hold(netsim.HoldID(id), s.hosts(d, "from"), s.hosts(d, "to"), netsim.Match{API: int16(api)})
	case "release":
		s.n.Release(s.m.Now(), netsim.HoldID(id))
	case "reach":
		return s.reach(t, int16(api))
	case "connect":
		s.m.Dial(roundsMax - 1)
		s.run(t, soon)
		return s.m.Open(roundsMax - 1).Text(s.names)
	default:
		t.Fatalf("unknown command %s", d.Cmd)
	}
	return ""
}

// reach measures on connections that nothing has been sent on yet. Of requests and
// answers one picture is shown if they agree.
func (s *story) reach(t *testing.T, api int16) string {
	s.m.Send(s.round, api)
	s.run(t, soon)
	requests, answers := s.m.Requests(s.round).Text(s.names), s.m.Answers(s.round).Text(s.names)
	s.round++
	if requests == answers {
		return requests
	}
	return "requests\n" + requests + "answers\n" + answers
}
