package bench

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Memory and processor time belong to a process, so these benchmarks run simrun
// as it is shipped, one process for each measurement, and read its result.

var long = flag.Bool("long", false, "the benchmarks that take minutes too: 10^8 records")

var built struct {
	sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(status)
}

// simrun runs a scenario in a process of its own; it must pass.
func simrun(b *testing.B, file string) *reports.Result {
	b.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "bench-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "simrun")
		if out, err := exec.Command("go", "build", "-o", built.path, "../cmd/simrun").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build simrun: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		b.Fatal(built.err)
	}
	cmd := exec.CommandContext(b.Context(), built.path, "--format", "json", file)
	cmd.Stderr = os.Stderr
	line, err := cmd.Output()
	var r reports.Result
	if jsonErr := json.Unmarshal(line, &r); jsonErr != nil {
		b.Fatalf("%v: %v", err, jsonErr)
	}
	if r.Verdict != reports.Pass {
		b.Fatal(reports.Text(&r, false))
	}
	return &r
}

// with writes a shipped scenario with some of its text replaced.
func with(b *testing.B, name string, replace ...string) string {
	b.Helper()
	text, err := scenarios.ReadShipped(name)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			b.Fatalf("%s.yaml does not say %q any more", name, replace[i])
		}
	}
	file := filepath.Join(b.TempDir(), name+".yaml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o644); err != nil {
		b.Fatal(err)
	}
	return file
}

// BenchmarkIdle is a cluster of six brokers with hardly any load: what passing
// time costs.
func BenchmarkIdle(b *testing.B) {
	var virtual, cpu float64
	for b.Loop() {
		r := simrun(b, "testdata/idle.yaml")
		virtual += r.VirtualSeconds
		cpu += r.CPUSeconds
	}
	b.ReportMetric(virtual/cpu, "virtual-s/cpu-s")
}

// BenchmarkBatches is billion.yaml with fewer records: a hundred in a batch.
func BenchmarkBatches(b *testing.B) {
	measureRecords(b, with(b, "billion", "1000000000", "20000000"))
}

// BenchmarkSingles is ten-million-singles.yaml with fewer records: one in a batch.
func BenchmarkSingles(b *testing.B) {
	measureRecords(b, with(b, "ten-million-singles", "10000000", "1000000"))
}

// BenchmarkMemory shows whether memory grows with the number of records.
func BenchmarkMemory(b *testing.B) {
	for _, records := range []string{"10000000", "100000000"} {
		if records == "100000000" && !*long {
			continue
		}
		b.Run("records="+records, func(b *testing.B) {
			measureRecords(b, with(b, "billion", "1000000000", records))
		})
	}
}

func measureRecords(b *testing.B, file string) {
	var records, events, cpu float64
	var peak int64
	for b.Loop() {
		r := simrun(b, file)
		records += float64(r.Records.Acked)
		events += float64(r.Events)
		cpu += r.CPUSeconds
		peak = max(peak, r.PeakRSSBytes)
	}
	b.ReportMetric(cpu*1e9/records, "cpu-ns/record")
	b.ReportMetric(events/cpu, "events/cpu-s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}
