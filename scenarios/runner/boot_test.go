package runner

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

func TestBoot(t *testing.T) {
	data, _ := os.ReadFile("../zone-failure.yaml")
	s, err := scenarios.Load(data, "zone-failure.yaml")
	if err != nil {
		t.Fatal(err)
	}
	l := newLayout(s)
	l.hosts = l.hosts[:9]
	cfg := sim.Config{Seed: 1, Topology: l.topology(s), Start: startOfTime}
	if os.Getenv("TRACE") != "" {
		cfg.TraceTo = os.Stdout
	}
	for i := range l.hosts {
		h, err := l.nodeHost(s, &l.hosts[i])
		if err != nil {
			t.Fatal(err)
		}
		cfg.Hosts = append(cfg.Hosts, h)
	}
	w := sim.New(cfg)
	v := &view{world: w, layout: l}
	for range 20 {
		w.Run(w.Now().Add(time.Second))
		c, h := v.activeController()
		fmt.Println(w.Now(), h, c != nil, w.Trace().Events())
		for _, b := range l.brokers {
			n := v.node(b)
			fmt.Print(n.State(), " ", n.Image().Offset, "; ")
		}
		fmt.Println()
	}
	_ = clock.Never
}
