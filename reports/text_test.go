package reports

// Goal: the terminal's texts read well in 80 columns and say the same with and
// without colour. Method: golden files for the reader, properties for the rest.

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTextGolden(t *testing.T) {
	golden(t, "pass.txt", []byte(Text(sample(), false)))
	golden(t, "fail.txt", []byte(Text(failed(), false)))
	golden(t, "permitted.txt", []byte(Text(permitted(), false)))
	golden(t, "inconclusive.txt", []byte(Text(undecided(), false)))
	golden(t, "lines.txt", []byte(Line(sample(), false)+Line(failed(), false)+Line(undecided(), false)))
	golden(t, "empty.txt", []byte(Text(&Result{Scenario: "empty", Verdict: Inconclusive, Reasons: []string{"Nothing happened."}}, false)))
	golden(t, "progress.txt", []byte(Progress(ProgressState{Scenario: "zone-failure", Seed: 42, Events: 12_300_000,
		VirtualSeconds: 252, TotalSeconds: 720, CPUSeconds: 3.4, Acked: 1_260_000})+"\n"+
		Progress(ProgressState{Scenario: "zone-failure", Seed: 43, Run: 2, Runs: 500})+"\n"))
}

func summary() *Summary {
	s := new(Summary)
	for seed := range uint64(500) {
		r := sample()
		if seed%40 == 7 {
			r = failed()
		}
		if seed == 300 {
			r = undecided()
		}
		r.Seed = seed
		r.Replay = fmt.Sprintf("simrun scenarios/zone-failure.yaml --seed %d", seed)
		r.RTOSeconds += float64(seed%97) / 10
		s.Add(r)
	}
	other := sample()
	other.Scenario, other.LagRecoverySeconds = "rolling-restart", -1
	s.Add(other)
	return s
}

func TestSummaryGolden(t *testing.T) { golden(t, "summary.txt", []byte(summary().Text(false))) }

func TestSummaryVerdict(t *testing.T) {
	of := func(verdicts ...Verdict) Verdict {
		s := new(Summary)
		for i, v := range verdicts {
			s.Add(&Result{Scenario: fmt.Sprint(i % 2), Verdict: v})
		}
		return s.Verdict()
	}
	for _, c := range []struct {
		want Verdict
		got  Verdict
	}{
		{Inconclusive, of()}, {Pass, of(Pass, Pass, Pass)}, {Fail, of(Pass, Inconclusive, Fail)}, {Fail, of(Fail, Pass)},
		{Inconclusive, of(Pass, Inconclusive)}, {Inconclusive, of(Inconclusive, Pass, Pass)},
	} {
		if c.want != c.got {
			t.Errorf("verdict %s, want %s", c.got, c.want)
		}
	}
}

// Parallel jobs finish in any order, and the text is the same.
func TestSummaryDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var runs []*Result
		for seed := range uint64(8) {
			r := &Result{Scenario: "s", Seed: seed, Verdict: rapid.SampledFrom([]Verdict{Pass, Fail, Inconclusive}).Draw(t, "verdict"),
				RTOSeconds: float64(rapid.IntRange(-1, 2).Draw(t, "rto"))}
			runs = append(runs, r)
		}
		var a, b Summary
		for _, r := range runs {
			a.Add(r)
		}
		for _, r := range rapid.Permutation(runs).Draw(t, "order") {
			b.Add(r)
		}
		if diff := cmp.Diff(a.Text(false), b.Text(false)); diff != "" {
			t.Fatal(diff)
		}
	})
}

var escapes = regexp.MustCompile("\x1b\\[[0-9]+m")

func TestColorChangesNoCharacter(t *testing.T) {
	for _, r := range []*Result{sample(), failed(), undecided()} {
		colored := Text(r, true) + Line(r, true)
		if colored == Text(r, false)+Line(r, false) {
			t.Errorf("%s: no colour", r.Verdict)
		}
		if diff := cmp.Diff(Text(r, false)+Line(r, false), escapes.ReplaceAllString(colored, "")); diff != "" {
			t.Errorf("%s (-plain +coloured):\n%s", r.Verdict, diff)
		}
	}
}

func TestControlCharactersDoNotReachTheTerminal(t *testing.T) {
	s := new(Summary)
	for _, text := range hostile {
		r := poison(text)
		s.Add(r)
		out := Text(r, false) + Line(r, false) + s.Text(false) + Progress(ProgressState{Scenario: text})
		if i := strings.IndexFunc(out, func(c rune) bool { return c != '\n' && (c < ' ' || c == 0x7f || c == 0x202e || c == 0x2028) }); i >= 0 {
			t.Errorf("%q leaves %q", text, out[i:min(i+20, len(out))])
		}
	}
}

// texts are the names and sentences that may come along: long, wide, hostile.
var texts = rapid.OneOf(
	rapid.SampledFrom(append(slices.Clone(hostile), "", "日本語の長い名前日本語の長い名前日本語の長い名前", strings.Repeat("long", 60), strings.Repeat("many words ", 40))),
	rapid.String(),
)

// figures include the absurd.
var figures = rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1, 1e6), rapid.SampledFrom([]float64{0, -1, math.NaN(), math.Inf(1), 1e-9, 999.96, 99.96, 59.97}))

func drawResult(t *rapid.T) *Result {
	text := func(what string) string { return texts.Draw(t, what) }
	figure := func() float64 { return figures.Draw(t, "figure") }
	integer := func() int64 { return rapid.Int64().Draw(t, "integer") }
	quantiles := func() Quantiles {
		return Quantiles{integer(), figure(), figure(), figure(), figure(), figure()}
	}
	r := poison(text("text"))
	r.Verdict = rapid.SampledFrom([]Verdict{Pass, Fail, Inconclusive, Verdict(text("verdict"))}).Draw(t, "verdict")
	r.Seed, r.Events, r.Partial = rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "events"), rapid.Bool().Draw(t, "partial")
	r.VirtualSeconds, r.CPUSeconds, r.PeakRSSBytes = figure(), figure(), integer()
	r.Records = Records{integer(), integer(), integer(), integer(), integer(), integer(), integer(), integer(), integer(), integer(), integer()}
	r.RPO = RPO{integer(), integer(), figure()}
	r.RTOSeconds, r.LagRecoverySeconds, r.PeakLagRecords = figure(), figure(), integer()
	r.Latency.Produce = Phases{quantiles(), quantiles(), quantiles(), quantiles()}
	r.Elections, r.ProduceRetries = int(integer()), integer()
	r.Claims = append(r.Claims, Claim{text("claim"), true, true, text("why")})
	r.Thresholds = append(r.Thresholds, Threshold{text("name"), text("phase"), text("measured"), true, text("why")})
	r.Faults = append(r.Faults, Fault{text("verb"), text("target"), text("detail"), []string{text("node")}, figure(), figure()})
	r.Unavailability = append(r.Unavailability, Unavailability{text("partition"), figure(), figure(), figure(), figure()})
	r.Stalls = append(r.Stalls, Stall{text("what"), figure(), figure()})
	r.ZoneTraffic = append(r.ZoneTraffic, ZoneTraffic{text("from"), text("to"), rapid.Int64Range(0, 1<<50).Draw(t, "bytes")})
	r.Replay = "simrun " + text("replay")
	return r
}

func TestWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawResult(t)
		s := new(Summary)
		s.Add(r)
		progress := Progress(ProgressState{r.Scenario, r.Seed, 3, rapid.Int().Draw(t, "runs"), r.Events, r.VirtualSeconds,
			figures.Draw(t, "total"), r.CPUSeconds, r.Records.Acked})
		if strings.Contains(progress, "\n") || textWidth(progress) > columnsMax-1 {
			t.Fatalf("progress takes %d columns: %q", textWidth(progress), progress)
		}
		if line := Line(r, false); strings.Count(line, "\n") != 1 {
			t.Fatalf("--quiet is not one line: %q", line)
		}
		// A word of the replay command stays whole even if it is longer than a line.
		var words []string
		for _, w := range shellWords(clean(r.Replay)) {
			if textWidth(w)+16 > columnsMax {
				words = append(words, w)
			}
		}
		for line := range strings.Lines(Text(r, false) + Line(r, false) + s.Text(false)) {
			line = strings.TrimSuffix(line, "\n")
			word := strings.TrimSuffix(strings.TrimSpace(line), ` \`)
			if textWidth(line) > columnsMax && !slices.Contains(words, word) {
				t.Fatalf("%d columns: %q", textWidth(line), line)
			}
		}
	})
}

// The command that is printed is the command: joining its lines gives it back.
func TestCommandCanBeCopied(t *testing.T) {
	const command = `simrun --seed 0x1234 --out "a directory with spaces" 'scenarios/a b.yaml' ` +
		`scenarios/a-rather-long-name-of-a-scenario.yaml scenarios/another-long-name-of-a-scenario.yaml`
	term := new(terminal)
	term.command("  ", command)
	got := regexp.MustCompile(` \\\n\s+`).ReplaceAllString(strings.TrimSpace(term.text.String()), " ")
	if diff := cmp.Diff(command, got); diff != "" {
		t.Error(diff)
	}
}

func TestFigures(t *testing.T) {
	for _, c := range [][2]string{
		{count(-1234567), "-1,234,567"}, {count(math.MinInt64), "-9,223,372,036,854,775,808"}, {shortCount(9_999), "9,999"},
		{shortCount(10_000), "10.0k"}, {shortCount(999_960), "1.00M"}, {shortCount(1_260_000), "1.26M"},
		{BytesText(999), "999 B"}, {BytesText(84_213_760), "84.2 MB"}, {BytesText(999_600), "1.00 MB"},
		{millisText(9.999), "10.00"}, {millisText(9842.1), "9,842"}, {millisText(0), "0.00"},
		{secondsText(9.84), "9.8s"}, {secondsText(0.31), "310ms"}, {secondsText(0.9996), "1s"}, {secondsText(99.96), "1m40s"},
		{secondsText(720), "12m00s"}, {secondsText(7500), "2h05m"}, {clockText(180.2), "3m00.2s"}, {clockText(3723), "1h02m03s"},
		{clockText(59.97), "1m00s"}, {eventually(-1), "never"}, {eventually(0), "none"}, {speedText(720, 9.8), "73.5x"}, {speedText(1, 0), ""},
	} {
		if c[0] != c[1] {
			t.Errorf("%q, want %q", c[0], c[1])
		}
	}
}
