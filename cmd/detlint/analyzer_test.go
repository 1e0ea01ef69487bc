package main

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"
)

// Goal: every rule reports its bad fixture, at the line that breaks it, and
// nothing in the good one. Method: analysistest's want comments.
func TestAnalyzer(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), Analyzer, "bad", "good")
}
