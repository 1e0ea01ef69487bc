package scenarios

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/units"
)

// Goal: every file that is shipped loads, every mistake gives its one error,
// the references are fresh, and no input makes the loader panic.
// Method: golden files under testdata/broken, the generated files compared with
// the code, and a fuzzer that starts from all of them.

var update = flag.Bool("update", false, "write the golden errors and the generated references")

// brokenMin is how many kinds of mistake the golden files must show at least.
const brokenMin = 40

func shipped(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no shipped scenarios: %v", err)
	}
	return files
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestShipped(t *testing.T) {
	for _, file := range shipped(t) {
		s, err := Load(read(t, file), file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if want := strings.TrimSuffix(file, ".yaml"); s.Name != want {
			t.Errorf("%s: its name is %q", file, s.Name)
		}
		if s.Description == "" {
			t.Errorf("%s: no description", file)
		}
	}
}

func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < brokenMin {
		t.Fatalf("%d broken files, want at least %d: %v", len(files), brokenMin, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		golden := strings.TrimSuffix(file, ".yaml") + ".err"
		problem := Validate(read(t, file), name)
		if problem == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		got := problem.Error() + "\n"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(string(read(t, golden)), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Files made to be slow: the bounds must keep each well under a second, which
// the test's own time-out would notice if they grew with the square.
func TestHostile(t *testing.T) {
	for name, text := range map[string]string{
		"list":    strings.Repeat("- a\n", fileBytesMax/4),
		"flow":    "a: [" + strings.Repeat("b,\n ", fileBytesMax/5),
		"keys":    "a:\n" + strings.Repeat("  b: 1\n", fileBytesMax/8),
		"flowmap": "a: {" + strings.Repeat("b: 1,\n", fileBytesMax/7) + "}",
		"indents": nested(500),
		"dashes":  strings.Repeat(strings.Repeat("- ", 1000)+"\n", 60),
		"quotes":  "a: " + strings.Repeat("\"", 4000),
		"colons":  strings.Repeat("? ", 2000),
	} {
		if Validate([]byte(text), name) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestTooLarge(t *testing.T) {
	err := Validate(bytes.Repeat([]byte("a: 1\n"), fileBytesMax), "large.yaml")
	if want := "large.yaml:1:1: the file is too large: 327680 bytes, at most 65536"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// The references and the schema are generated; a stale one fails.
func TestDocs(t *testing.T) {
	for _, file := range []struct {
		path string
		want []byte
	}{
		{"../docs/scenarios.md", Reference()},
		{"../docs/config.md", ConfigReference()},
		{"schema.json", Schema()},
		{"../README.md", readmeWithScenarios(t)},
	} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(file.path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file.path, file.want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(string(file.want), string(read(t, file.path))); diff != "" {
			t.Errorf("%s is stale; run go generate ./scenarios (-want +got):\n%s", file.path, diff)
		}
	}
}

// readmeWithScenarios is README with the table of the scenarios that are shipped.
func readmeWithScenarios(t *testing.T) []byte {
	const head, foot = "| scenario | what happens |\n|---|---|\n", "\n`simrun list` shows them"
	readme := string(read(t, "../README.md"))
	before, rest, found := strings.Cut(readme, head)
	_, after, ends := strings.Cut(rest, foot)
	if !found || !ends {
		t.Fatal("README has no table of scenarios")
	}
	table := ""
	for _, name := range Shipped() {
		text, err := ReadShipped(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Load(text, name)
		if err != nil {
			t.Fatal(err)
		}
		table += fmt.Sprintf("| `%s` | %s |\n", name, s.Description)
	}
	return []byte(before + head + table + foot + after)
}

// What the runner relies on: everything is explicit after loading.
func TestLoadFillsIn(t *testing.T) {
	s, err := Load(read(t, "zone-failure.yaml"), "zone-failure.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []string
	for _, node := range s.Cluster.Nodes() {
		nodes = append(nodes, node.Name+"@"+node.Zone)
	}
	want := []string{"broker-1@a", "broker-2@a", "broker-3@b", "broker-4@b", "broker-5@c", "broker-6@c", "controller-1@a", "controller-2@b", "controller-3@c"}
	if diff := cmp.Diff(want, nodes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := s.Topics[0].Settings.MinInsyncReplicas; got != 2 {
		t.Errorf("min.insync.replicas %d", got)
	}
	var asserted []string
	for _, a := range append(s.Expect.DuringFault, s.Expect.Thresholds...) {
		asserted = append(asserted, a.String())
	}
	want = []string{"produce_unavailability per_partition max<=15s", "fetch_unavailability per_partition max<=30s", "produce_errors ==0",
		"produce_latency p99<20ms", "produce_latency p999<100ms", "e2e_latency p99<50ms", "produce_errors ==0"}
	if diff := cmp.Diff(want, asserted); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.Expect.Minimums.Faults != 1 || s.Settle.Seconds() != 90 {
		t.Errorf("minimums %+v, settle %s", s.Expect.Minimums, s.Settle)
	}
}

func TestFlushIsADefault(t *testing.T) {
	s, err := Load(read(t, "testdata/everything.yaml"), "everything.yaml")
	if err != nil || s.Topics[0].Settings.FlushMessages != 100 {
		t.Fatalf("flush.messages %d, %v", s.Topics[0].Settings.FlushMessages, err)
	}
}

// Each comparison against a smaller, an equal and a larger measurement.
func TestComparisons(t *testing.T) {
	for text, want := range map[string][3]bool{
		"<": {true, false, false}, "<=": {true, true, false}, "==": {false, true, false},
		"!=": {true, false, true}, ">=": {false, true, true}, ">": {false, false, true},
	} {
		m, _ := findMetric("produce_latency")
		a, problem, _ := parseAssertion(m, "", "p99 "+text+" 5ms")
		got := [3]bool{a.Compare.Holds(4e6, a.Limit), a.Compare.Holds(5e6, a.Limit), a.Compare.Holds(6e6, a.Limit)}
		if problem != "" || got != want || a.Stat != "p99" {
			t.Errorf("%s: %v, %q, %+v", text, got, problem, a)
		}
	}
}

func TestUnitsAreExact(t *testing.T) {
	for _, test := range []struct {
		text  string
		units []units.Unit
		want  int64
		ok    bool
	}{
		{"1500us", units.Durations, 1_500_000, true},
		{"0.5ms", units.Durations, 500_000, true},
		{"0.1ns", units.Durations, 0, false},
		{"-3m", units.Durations, -180e9, true},
		{"1m30s", units.Durations, 90e9, true},
		{"-1h0m1.5s", units.Durations, -3601_500_000_000, true},
		{"30s1m", units.Durations, 0, false},
		{"1m1m", units.Durations, 0, false},
		{"1m30", units.Durations, 0, false},
		{"200000h200000000000s9000000000000000000ns", units.Durations, 0, false},
		{"9223372036854775808ns", units.Durations, 0, false},
		{"200000000h", units.Durations, 0, false},
		{"1KiB", units.Sizes, 1024, true},
		{"1.5KiB", units.Sizes, 1536, true},
		{"5Gbit", bandwidthUnits, 5e9, true},
		{"0.0001%", percentUnits, 1, true},
		{"0.00001%", percentUnits, 0, false},
		{"0", units.Durations, 0, true},
		{".5s", units.Durations, 0, false},
		{"s", units.Durations, 0, false},
	} {
		got, problem, _ := units.Parse(test.text, test.units, "duration")
		if got != test.want || (problem == "") != test.ok {
			t.Errorf("%s: %d, %q", test.text, got, problem)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, file := range shipped(f) {
		f.Add(read(f, file))
	}
	broken, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range broken {
		f.Add(read(f, file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Validate(data, "fuzz.yaml"); err != nil {
			var text = err.Error()
			if !strings.HasPrefix(text, "fuzz.yaml:") || strings.Count(text, "\n") > 2 {
				t.Fatalf("not one error with a place: %q", text)
			}
		}
	})
}

// A scenario that is written and read again is the same scenario. Only the
// places in the file may differ.
func TestMarshal(t *testing.T) {
	files := shipped(t)
	for _, file := range append(files, "testdata/everything.yaml") {
		want, err := Load(read(t, file), file)
		if err != nil {
			t.Fatal(err)
		}
		text := Marshal(want)
		got, err := Load(text, file)
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, text)
			continue
		}
		for i := range got.Timeline {
			got.Timeline[i].Line = want.Timeline[i].Line
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	if len(Shipped()) != len(files) {
		t.Errorf("%d scenarios are embedded, %d are here", len(Shipped()), len(files))
	}
}
