package reports

// Goal: what is written can be read back, and a directory that cannot take it
// yields one clear error and no half file. Method: real directories.

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestJSONGolden(t *testing.T) {
	r := failed()
	r.Series, r.Unavailability, r.Nodes = r.Series[:2], r.Unavailability[:2], r.Nodes[:2]
	b, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "result.json", b)
	line, err := JSONLine(r)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
		t.Errorf("not one line: %s", line)
	}
	for _, data := range [][]byte{b, line} {
		got, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got, cmpopts.IgnoreFields(Result{}, "Histograms")); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
	}
}

func TestJSONHasNoNull(t *testing.T) {
	b, err := JSONLine(&Result{Verdict: Pass})
	if err != nil || bytes.Contains(b, []byte("null")) {
		t.Errorf("%v: %s", err, b)
	}
	if _, err := JSON(&Result{Scenario: "s", Seed: 7, RTOSeconds: math.NaN()}); err == nil || !strings.Contains(err.Error(), "s seed 7") {
		t.Errorf("NaN: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for data, want := range map[string]string{
		"": "empty", "{": "in the middle", `{"verdict":"pass"}{}`: "follows", `{"verdict":"maybe"}`: `"maybe"`, "{x": "byte 2",
		`{"verdict":"pass","seed":-1}`: "seed",
	} {
		if _, err := Decode([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", data, err, want)
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	want := failed()
	for range 2 { // the second time over the first
		if err := Write(dir, want, map[string][]byte{"scenario.yaml": []byte("name: x\n")}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "Histograms")); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
	if len(got.Histograms) != len(want.Histograms) {
		t.Fatalf("%d histograms, want %d", len(got.Histograms), len(want.Histograms))
	}
	for _, g := range got.Histograms {
		for _, w := range want.Histograms {
			if g.Name != w.Name {
				continue
			}
			if !g.Hist.Equals(w.Hist) {
				t.Errorf("%s came back different", w.Name)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	golden(t, "directory.txt", []byte(strings.Join(names, "\n")+"\n"))
}

// The report of another run is replaced as a whole; what is not of a run stays.
func TestWriteOverAnotherRun(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, sample(), map[string][]byte{"porcupine-0.html": []byte("a picture")}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	second := sample()
	second.Histograms = slices.DeleteFunc(slices.Clone(second.Histograms), func(h NamedHistogram) bool { return strings.Contains(h.Name, ".") })
	if err := Write(dir, second, nil); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if diff := cmp.Diff([]string{"e2e.hgrm", "e2e.hlog", FileJUnit, "notes.txt", "produce.hgrm", "produce.hlog", FilePage, FileResult, FileSummary}, left); diff != "" {
		t.Error(diff)
	}
}

func TestHgrm(t *testing.T) {
	h := newTestHistogram()
	for ms := range int64(1000) {
		if err := h.RecordValue((ms + 1) * 1e6); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Hgrm(h)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "thousand.hgrm", b)
	log, err := Hlog(NamedHistogram{Name: "two words, and a comma", Hist: h}, 12)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ReadHlog(bytes.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	if back.Name != "two_words__and_a_comma" || !back.Hist.Equals(h) {
		t.Errorf("read back %q, %d values", back.Name, back.Hist.TotalCount())
	}
	only, err := hdrhistogram.NewHistogramLogReader(bytes.NewReader(log)).NextIntervalHistogram()
	if err != nil || only.StartTimeMs() != 0 || only.EndTimeMs() != 12_000 {
		t.Errorf("the only interval: %v, %v", only, err)
	}
	if h.Tag() != "" || h.EndTimeMs() != 0 {
		t.Error("the caller's histogram was changed")
	}
}

func TestWriteRefusesAmbiguousNames(t *testing.T) {
	for name, want := range map[string]string{
		"result.json": "written by us", "report.html": "two files", "../x": "plain file name", "": "plain file name", "produce.hgrm": "two files",
	} {
		dir := filepath.Join(t.TempDir(), "out")
		err := Write(dir, sample(), map[string][]byte{name: nil})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: something was written all the same", name)
		}
	}
}

func TestWriteWhereAFileIs(t *testing.T) {
	base := t.TempDir()
	inTheWay := filepath.Join(base, "file")
	if err := os.WriteFile(inTheWay, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{inTheWay, filepath.Join(inTheWay, "below")} {
		err := Write(dir, sample(), nil)
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "a file is where a directory is needed") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	// A directory where a file should go: the old content stays, no temporary is left.
	dir := filepath.Join(base, "out")
	if err := os.MkdirAll(filepath.Join(dir, FileJUnit), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, sample(), nil); err == nil || !strings.Contains(err.Error(), FileJUnit) {
		t.Errorf("over a directory: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(dir, FileResult)); err == nil {
		t.Error("a result was written although its companions were not")
	}
}

func TestWriteErrorsNameTheCure(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EACCES: "make the directory writable", syscall.ENOSPC: "free some space", syscall.EROFS: "read-only",
		syscall.ENOTDIR: "a file is where", syscall.EIO: "choose another directory",
	} {
		got := writeError("out/result.json", fmt.Errorf("step: %w", &os.PathError{Op: "write", Path: "/hidden/.tmp123", Err: err})).Error()
		if !strings.Contains(got, want) || !strings.Contains(got, "out/result.json") || !strings.Contains(got, err.Error()) || strings.Contains(got, ".tmp123") {
			t.Errorf("%v: %s", err, got)
		}
	}
}

// The device that is always full stands for a full disk.
func TestFillReportsAFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Logf("no full device here (%v): the mapping of ENOSPC is tested above", err)
		return
	}
	if err := writeError("x", fill(f, []byte("data"))); !strings.Contains(err.Error(), "free some space") {
		t.Error(err)
	}
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "no such file") || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileResult), []byte(`{"verdict":`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), FileResult) {
		t.Error(err)
	}
}
