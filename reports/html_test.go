package reports

// Goal: the page is complete, self-contained and harmless whatever the names in
// it are. Method: render samples, look for what must and must not be there, and
// tokenise the scripts' data again.

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustHTML(t interface{ Fatal(...any) }, r *Result) string {
	b, err := HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ours takes what we embed away, so that the rest can be searched.
func ours(s string) string {
	for _, known := range []string{uplotJS, uplotCSS, pageJS, pageCSS} {
		s = strings.Replace(s, known, "", 1)
	}
	return s
}

func TestHTMLHasEverything(t *testing.T) {
	s := mustHTML(t, failed())
	for _, want := range []string{"FAIL", "zone-failure", "0xdeadbeefcafe", "--seed 0xdeadbeefcafe", "no_lost_acks", "violated",
		"p99&lt;20ms", "31.2ms", "zone_outage", "power_loss", "orders-3@42", "orders-20",
		"b-controller", "⚡1 ↻2", "2 starts", "contradicts no_lost_acks", "4 of 5 held", "2.17 GB", "9,842", "9f3c2a71e0b45d88", "uPlot " + uplotVersion, "Permission is hereby granted", `id="data"`} {
		if !strings.Contains(s, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if s := mustHTML(t, permitted()); !strings.Contains(s, "1234 observed, 1234 predicted") || strings.Contains(s, `class="tile bad"`) {
		t.Error("a permitted loss does not read as permitted")
	}
	if bare := mustHTML(t, &Result{Verdict: Inconclusive}); !strings.Contains(bare, "INCONCLUSIVE") {
		t.Error("the page of an empty result has no verdict")
	}
}

func TestHTMLLoadsNothing(t *testing.T) {
	s := ours(mustHTML(t, failed()))
	for _, bad := range []string{"<link", "<img", "<iframe", "src=\"", "href=", "http://", "https://", "@import", "url("} {
		if strings.Contains(s, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.Contains(s, `default-src 'none'`) {
		t.Error("the page has no content security policy")
	}
}

// poison is a result in which every text from outside is hostile.
func poison(text string) *Result {
	r := failed()
	r.Scenario, r.Description, r.File, r.TraceHash, r.Replay = text, text, text, text, text
	r.Reasons = []string{text}
	r.Claims = []Claim{{text, true, true, text}, {text, true, false, text}, {text, false, false, text}}
	r.Thresholds = []Threshold{{text, text, text, false, text}}
	r.Anomalies = []Anomaly{{Kind: text, Claim: text, Partition: text, Text: text}}
	r.PermittedLoss = &PermittedLoss{Why: text}
	r.Faults = []Fault{{Name: text, Target: text, Detail: text, Nodes: []string{text}, FromSeconds: 1, ToSeconds: 2}}
	r.Unavailability = []Unavailability{{text, 1, 1, 1, 1}}
	r.Stalls = []Stall{{text, 1, 1}}
	r.PartitionLatency = []PartitionLatency{{Partition: text, Kind: text, Phases: r.Latency.Produce}}
	r.ZoneTraffic = []ZoneTraffic{{text, text, 5}, {text, text + "2", 7}}
	r.Nodes = []Node{{text, text, text, 2, 1, 1}, {text, text + "2", "broker", 1, 1, 1}}
	return r
}

var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</script><script>alert(1)</script>`, `'};alert(1);//`,
	`</style><b>`, `<!--<script>`, `]]></failure><x>`, "\x1b[31mred\x1b]0;title\a", "\u2028\u202e", `{{.R}}`, `\"</title>`,
}

func TestHTMLEscapesHostileNames(t *testing.T) {
	plain := ours(mustHTML(t, poison("name")))
	tags := regexp.MustCompile(`</?[a-zA-Z!][^\s>]*`)
	for _, text := range hostile {
		s := mustHTML(t, poison(text))
		// The same tags in the same order: no text became one.
		if diff := cmp.Diff(tags.FindAllString(plain, -1), tags.FindAllString(ours(s), -1)); diff != "" {
			t.Errorf("%q changed the tags (-want +got):\n%s", text, diff)
		}
		start := strings.Index(s, `id="data">`) + len(`id="data">`)
		var faults struct{ Faults []chartFault }
		raw := s[start : start+strings.Index(s[start:], "</script>")]
		if err := json.Unmarshal([]byte(raw), &faults); err != nil || len(faults.Faults) != 1 {
			t.Errorf("%q: the chart data is no longer JSON: %v", text, err)
		}
	}
}

func TestVersionsOfAssets(t *testing.T) {
	b, err := os.ReadFile("assets/VERSIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	for where, s := range map[string]string{"VERSIONS.md": string(b), "uPlot.iife.min.js": uplotJS[:200]} {
		if !strings.Contains(s, uplotVersion) {
			t.Errorf("%s does not name version %s", where, uplotVersion)
		}
	}
}

func TestThinKeepsSumsAndPeaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := make([]SeriesPoint, rapid.IntRange(0, 400).Draw(t, "seconds"))
		var acked, lag int64
		for i := range points {
			points[i] = SeriesPoint{Second: int64(i), Acked: rapid.Int64Range(0, 9).Draw(t, "acked"), Lag: rapid.Int64Range(0, 99).Draw(t, "lag")}
			acked += points[i].Acked
			lag = max(lag, points[i].Lag)
		}
		most := rapid.IntRange(1, 50).Draw(t, "most")
		out, every := thin(points, most)
		var gotAcked, gotLag int64
		for i, p := range out {
			gotAcked += p.Acked
			gotLag = max(gotLag, p.Lag)
			if p.Second != int64(i)*every {
				t.Fatalf("point %d is of second %d, every %d", i, p.Second, every)
			}
		}
		if len(out) > most || gotAcked != acked || gotLag != lag {
			t.Fatalf("%d points of at most %d, acked %d want %d, lag %d want %d", len(out), most, gotAcked, acked, gotLag, lag)
		}
	})
}

func TestCurves(t *testing.T) {
	d := newChartData(sample())
	if len(d.Curves) != 2 || len(d.Curves[0].Phases) != 3 {
		t.Fatalf("curves: %d, want 2 with 3 phases", len(d.Curves))
	}
	for _, c := range d.Curves {
		for _, p := range c.Phases {
			if len(p.Millis) != len(c.Scale) {
				t.Fatalf("%s %s: %d values on a scale of %d", c.Name, p.Name, len(p.Millis), len(c.Scale))
			}
			for i := 1; i < len(p.Millis); i++ {
				if p.Millis[i] < p.Millis[i-1] {
					t.Errorf("%s %s falls at %d", c.Name, p.Name, i)
				}
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	b, err := JUnit(sample(), failed(), undecided())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "junit.xml", b)
	var all junitSuites
	if err := xml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	// Per run: the run, 7 claims, 5 thresholds.
	got := []int{len(all.Suites), all.Tests, all.Failures, all.Errors, all.Skipped}
	if diff := cmp.Diff([]int{1, 39, 2, 2, 3}, got); diff != "" {
		t.Errorf("suites, tests, failures, errors, skipped (-want +got):\n%s", diff)
	}
}

// A run that failed is never all green.
func TestJUnitShowsEveryVerdict(t *testing.T) {
	for _, c := range []struct {
		verdict          Verdict
		failures, errors int
	}{{Pass, 0, 0}, {Fail, 1, 0}, {Inconclusive, 0, 1}} {
		r := sample()
		r.Verdict, r.Reasons = c.verdict, []string{"Nothing happened."}
		b, err := JUnit(r)
		if err != nil {
			t.Fatal(err)
		}
		var all junitSuites
		if err := xml.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
		if all.Failures != c.failures || all.Errors != c.errors {
			t.Errorf("%s: %d failures and %d errors", c.verdict, all.Failures, all.Errors)
		}
	}
}

func TestJUnitStaysXML(t *testing.T) {
	for _, text := range hostile {
		b, err := JUnit(poison(text))
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(b))
		elements := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if _, ok := token.(xml.StartElement); ok {
				elements++
			}
		}
		if elements != 10 {
			t.Errorf("%q: %d elements, want 10", text, elements)
		}
	}
}
