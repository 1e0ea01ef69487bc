package runner

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// A cluster boots, takes load and passes.
func TestSmokePasses(t *testing.T) {
	text, err := scenarios.ReadShipped("smoke")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Load(text, "smoke.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if out.Result.Verdict != reports.Pass || out.Result.Partial || out.Result.Records.Acked == 0 {
		t.Fatal(reports.Text(out.Result, false))
	}
}
