package runner

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// storm is topics that are created and deleted without end, and must leave nothing
// behind: neither in the metadata nor on the disk of any broker that runs.
type storm struct {
	span   int // index in faults.done
	number int // the administrator's
	client.Storm
}

// storm begins one.
func (f *faults) storm(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	o := &f.operate
	if o.admin == nil {
		f.nothing(now, e, "the administrator was not up")
		return
	}
	w.Note(e.Verb())
	s := storm{span: len(f.done), Storm: client.Storm{
		From: now, To: now.Add(e.For), Every: e.Rate.Per / time.Duration(e.Rate.Count),
		Prefix: fmt.Sprintf("%s%d", scenarios.StormPrefix, index+1), Names: int(e.Names),
		Partitions: int32(e.Partitions), ReplicationFactor: f.stormReplicas,
	}}
	for _, kv := range scenarios.StormConfig {
		s.Configs = append(s.Configs, clientconfig.KV(kv))
	}
	s.number = o.admin.Blow(&s.Storm)
	w.Wake(o.host)
	o.storms = append(o.storms, s)
	o.next = now.Add(pollEvery)
	f.done = append(f.done, span{event: index, from: now, to: clock.Never})
}

// rest is what a storm has left, in words; "" when there is nothing. A topic that the
// administrator takes for deleted and that is there all the same (a request to create
// it that had been given up came late) is deleted once more.
func (s *storm) rest(w *sim.World, v *view, o *operator) string {
	calm, _, _ := o.admin.Calm(s.number)
	left := ""
	for i := range s.Names {
		if v.image().Topic(s.Name(i)) != nil {
			left = s.Name(i) + " was still there"
			if calm {
				o.admin.Leftover(s.number, i)
				w.Wake(o.host)
			}
		}
	}
	switch {
	case left != "":
		return left
	case !calm:
		return "not all of its topics were known to be gone"
	}
	for _, h := range v.layout.brokers {
		if w.State(h) != sim.Running {
			continue // it finds out when it starts
		}
		w.Disk(h).Walk(func(file disk.FileInfo) {
			if strings.Contains("/"+file.Path, "/"+s.Prefix+"-") {
				left = fmt.Sprintf("%s had %s on its disk, of a topic that has been deleted", v.layout.hosts[h].name, file.Path)
			}
		})
		if n := v.node(h); left == "" && n != nil && n.Partitions() != nil {
			for _, p := range n.Partitions().Partitions() {
				if strings.HasPrefix(p.Key().Topic, s.Prefix+"-") {
					left = fmt.Sprintf("%s held a replica of %s, which has been deleted", v.layout.hosts[h].name, p.Key().Topic)
				}
			}
		}
	}
	return left
}
