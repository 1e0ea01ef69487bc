package reports

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

type junitSuites struct {
	XMLName  xml.Name      `xml:"testsuites"`
	Name     string        `xml:"name,attr"`
	Tests    int           `xml:"tests,attr"`
	Failures int           `xml:"failures,attr"`
	Errors   int           `xml:"errors,attr"`
	Skipped  int           `xml:"skipped,attr"`
	Time     string        `xml:"time,attr"`
	Suites   []*junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`

	seconds float64
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr"`
	File    string     `xml:"file,attr,omitempty"`
	Failure *junitText `xml:"failure,omitempty"`
	Error   *junitText `xml:"error,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit is the XML that CI systems read: a test suite per scenario, and per seed
// a test case for the run, each claim and each threshold. What failed is a
// failure with the command that repeats it, what could not be decided an error,
// and a claim that is not made is skipped, with the reason. Times are CPU
// seconds, and stand on the case of the run.
func JUnit(results ...*Result) ([]byte, error) {
	all := junitSuites{Name: "windtunnel"}
	seconds := 0.0
	for _, r := range results {
		i := slices.IndexFunc(all.Suites, func(s *junitSuite) bool { return s.Name == r.Scenario })
		if i < 0 {
			i = len(all.Suites)
			all.Suites = append(all.Suites, &junitSuite{Name: r.Scenario})
		}
		all.Suites[i].add(r)
	}
	for _, s := range all.Suites {
		s.Time = junitTime(s.seconds)
		seconds += s.seconds
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
	}
	all.Time = junitTime(seconds)
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return nil, fmt.Errorf("encode JUnit XML: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func junitTime(seconds float64) string { return fmt.Sprintf("%.3f", seconds) }

func (s *junitSuite) add(r *Result) {
	s.seconds += r.CPUSeconds
	class := fmt.Sprintf("%s.seed-%d", r.Scenario, r.Seed)
	blank := junitCase{Class: class, File: r.File, Time: junitTime(0)}

	run := blank
	run.Name, run.Time = "run", junitTime(r.CPUSeconds)
	explained := false
	var cases []junitCase
	for i := range r.Claims {
		c := &r.Claims[i]
		k := blank
		k.Name = "claim " + c.Name
		switch r.claimMark(c) {
		case markNotMade:
			k.Skipped = &junitText{Message: "not made: " + c.Why}
		case markUndecided:
			k.Error = &junitText{"undecided: " + c.Name, string(Inconclusive), r.evidence(c.Name, c.Why)}
		case markFailed:
			explained = true
			k.Failure = &junitText{c.Name + " is violated", "claim", r.evidence(c.Name, c.Why)}
		}
		cases = append(cases, k)
	}
	for i := range r.Thresholds {
		h := &r.Thresholds[i]
		k := blank
		k.Name = strings.TrimSpace("threshold " + h.Name + " " + h.Phase)
		switch r.thresholdMark(h) {
		case markUndecided:
			k.Error = &junitText{"undecided: " + h.Name, string(Inconclusive), r.evidence("", h.Why)}
		case markFailed:
			explained = true
			k.Failure = &junitText{h.Name + ": measured " + h.Measured, "threshold", r.evidence("", h.Why)}
		}
		cases = append(cases, k)
	}
	text := r.evidence("", strings.Join(r.Reasons, "\n"))
	switch {
	case r.Verdict == Inconclusive:
		run.Error = &junitText{"inconclusive", string(Inconclusive), text}
	case r.Verdict == Fail && !explained:
		// Nothing below would be red: the run itself says why it failed.
		run.Failure = &junitText{"the run failed", "run", text}
	}
	s.count(append([]junitCase{run}, cases...))
}

func (s *junitSuite) count(cases []junitCase) {
	for i := range cases {
		s.Tests++
		switch k := &cases[i]; {
		case k.Failure != nil:
			s.Failures++
		case k.Error != nil:
			s.Errors++
		case k.Skipped != nil:
			s.Skipped++
		}
	}
	s.Cases = append(s.Cases, cases...)
}

// evidence is why, the findings against a claim (or, without a claim, those
// against none), and the command that repeats the run.
func (r *Result) evidence(claim, why string) string {
	const findingsMax = 10
	var lines []string
	if why != "" {
		lines = append(lines, why)
	}
	for i := range r.Anomalies {
		if a := &r.Anomalies[i]; a.Claim == claim && len(lines) <= findingsMax {
			lines = append(lines, a.sentence())
		}
	}
	if r.Replay != "" {
		lines = append(lines, "replay: "+r.Replay)
	}
	return strings.Join(lines, "\n")
}
