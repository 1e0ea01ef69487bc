package reports

import (
	"strings"
	"testing"
)

// Goal: what an interrupted run has not come to is neither held nor missed, wherever
// it is shown. Method: the sample, cut short, with a threshold of which nothing was
// measured.
func TestUndecidedThreshold(t *testing.T) {
	r := &Result{
		Scenario: "cut-short", Seed: 1, Partial: true, Verdict: Inconclusive, Reasons: []string{"the run was interrupted"},
		Thresholds: []Threshold{{Name: "produce_errors ==0", Phase: "during", Measured: "nothing"}},
	}
	if text := Text(r, false); !strings.Contains(text, "? produce_errors ==0") || strings.Contains(text, "✗") {
		t.Error(text)
	}
	data, err := JUnit(r)
	if xml := string(data); err != nil || strings.Contains(xml, "<failure") || !strings.Contains(xml, `<error message="undecided: produce_errors ==0"`) {
		t.Errorf("%v\n%s", err, xml)
	}
	page, err := HTML(r)
	if err != nil || strings.Contains(string(page), ">missed<") || !strings.Contains(string(page), "undecided") {
		t.Errorf("%v", err)
	}
}
