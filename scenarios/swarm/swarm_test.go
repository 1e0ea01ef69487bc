package swarm

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"pgregory.net/rapid"
)

// Goal: under no cluster, configuration, load and fault schedule does the
// simulated cluster break a claim that its configuration makes, lose a record
// that the elections do not explain, panic, or fail to come to rest.
// Method: rapid draws whole scenarios and shrinks the ones that fail; a failure
// is written as a file that simrun replays.

const (
	// checks is how many scenarios a plain `go test` runs, about 25 s of one core.
	checks = 100
	// soakRound is how many scenarios lie between two lines of a soak.
	soakRound = 50
	// inconclusiveShare bounds the explained inconclusive runs: one in so many.
	inconclusiveShare = 10
)

func TestMain(m *testing.M) {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{ // order does not matter
		"rapid.checks": fmt.Sprint(checks), "rapid.seed": "3", "rapid.nofailfile": "true", "rapid.shrinktime": "20s",
	} {
		if given[name] {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// tally is what became of the runs of a test.
type tally struct {
	runs, inconclusive int
	events             uint64
	kinds              []string       // of failures, each once
	reasons            map[string]int // of what was inconclusive, without numbers: how many runs gave it
}

// property runs one drawn scenario. What fails last is the smallest, so that
// the file ends up with it.
func (c *tally) property(dir string) func(*rapid.T) {
	return func(t *rapid.T) {
		s := Draw(t)
		j := Try(s, uint64(s.Seed))
		if c.count(&j); !j.Failed {
			return
		}
		if !slices.Contains(c.kinds, j.Kind) {
			c.kinds = append(c.kinds, j.Kind)
		}
		t.Fatalf("%s\n%s\n%s", j.Kind, j.Text, save(t, s, dir))
	}
}

// save writes a failing scenario and returns the command that replays it.
func save(t TB, s *scenarios.Scenario, dir string) string {
	file := filepath.Join(dir, s.Name+".yaml")
	if err := os.WriteFile(file, scenarios.Marshal(s), 0o644); err != nil {
		t.Fatalf("the counterexample cannot be written: %v", err)
	}
	return fmt.Sprintf("simrun %s --seed 0x%x", file, uint64(s.Seed))
}

// failures is where counterexamples go: the folder that WINDTUNNEL_FAILURES names,
// or one that outlives a test which fails, so that the command it prints can be run.
func failures(t *testing.T, name string) string {
	root := os.Getenv("WINDTUNNEL_FAILURES")
	if root == "" {
		dir, err := os.MkdirTemp("", "windtunnel-"+name+"-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if !t.Failed() {
				_ = os.RemoveAll(dir) // empty
			}
		})
		return dir
	}
	dir := filepath.Join(root, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSwarm(t *testing.T) {
	if text := os.Getenv("WINDTUNNEL_SOAK"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("WINDTUNNEL_SOAK: %v", err)
		}
		soak(t, length)
		return
	}
	var c tally
	rapid.Check(t, c.property(failures(t, "swarm")))
	c.judge(t)
}

// judge holds the share of runs that proved nothing to its bound.
func (c *tally) judge(t *testing.T) {
	t.Logf("%d runs, %d explained inconclusive, %d events", c.runs, c.inconclusive, c.events)
	for _, kind := range slices.Sorted(maps.Keys(c.reasons)) {
		t.Logf("%d× %s", c.reasons[kind], kind)
	}
	if len(c.kinds) == 0 && c.inconclusive*inconclusiveShare > c.runs {
		t.Errorf("%d of %d runs proved nothing, at most one in %d may", c.inconclusive, c.runs, inconclusiveShare)
	}
}

// soak runs fresh seeds for a while and goes on over failures. The first failure
// of each kind is shrunk and written; all are listed at the end.
func soak(t *testing.T, length time.Duration) {
	var c tally
	dir := failures(t, "soak")
	draw := rapid.Custom(Draw)
	begin, failed := time.Now(), 0
	seed := int(begin.UnixNano())
	if text := os.Getenv("WINDTUNNEL_SOAK_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("WINDTUNNEL_SOAK_SEED: %v", err)
		}
	}
	var lines []string
	for ; time.Since(begin) < length; seed++ {
		s := draw.Example(seed)
		s.Name = fmt.Sprintf("swarm-%x", uint64(seed))
		j := Try(s, uint64(s.Seed))
		if c.count(&j); j.Failed {
			failed++
			if !slices.Contains(c.kinds, j.Kind) {
				c.kinds = append(c.kinds, j.Kind)
				replay := save(t, s, dir)
				lines = append(lines, j.Kind+"\n"+j.Text+"\n"+replay)
				fmt.Printf("soak: %s\n  %s\n", j.Kind, replay)
			}
		}
		if c.runs%soakRound == 0 {
			fmt.Printf("soak %v of %v: %d runs, %d inconclusive, %d events, %d failures of %d kinds\n",
				time.Since(begin).Round(time.Second), length, c.runs, c.inconclusive, c.events, failed, len(c.kinds))
		}
	}
	for _, line := range lines {
		t.Error(line)
	}
	c.judge(t)
}

// count adds a run.
func (c *tally) count(j *Judgement) {
	c.runs++
	if j.Result != nil {
		c.events += j.Result.Events
	}
	if !j.Explained {
		return
	}
	c.inconclusive++
	if c.reasons == nil {
		c.reasons = map[string]int{}
	}
	kinds := map[string]bool{}
	for _, reason := range j.Result.Reasons {
		kinds[withoutNumbers(reason)] = true
	}
	for kind := range kinds {
		c.reasons[kind]++
	}
}

// Every scenario that was drawn loads and survives being written: the test runs
// none of them.
func TestDraw(t *testing.T) {
	verbs := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := Draw(t)
		for i := range s.Timeline {
			verbs[s.Timeline[i].Verb()]++
		}
	})
	for _, verb := range faultVerbs {
		if verbs[verb] == 0 {
			t.Errorf("%s was never drawn", verb)
		}
	}
}
