package runner

import (
	"os"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: topics are created when all brokers serve, so that each partition has a
// replica in every zone, as the claims take for granted. Method: seed 232, of which
// zone c was last to register when topics were created by whoever came first.
func TestTopicsLieInAllZones(t *testing.T) {
	text, err := os.ReadFile("../zone-failure-quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Load(text, "zone-failure-quick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range []uint64{232, 1, 2, 3} {
		r, err := newRun(s, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		r.until(r.origin)
		for _, topic := range r.view.image().Topics {
			for index, p := range topic.Partitions {
				zones := map[string]bool{}
				for _, id := range p.Replicas {
					host, _ := r.layout.broker(id)
					zones[r.layout.hosts[host].zone] = true
				}
				if len(zones) != len(p.Replicas) {
					t.Errorf("seed %d: %s-%d lies on brokers %v, in %d zones", seed, topic.Name, index, p.Replicas, len(zones))
				}
			}
		}
	}
}
