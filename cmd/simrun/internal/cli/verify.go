package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// verifyProcs are the GOMAXPROCS of the two processes: what depends on threads
// is most likely to differ between one and many.
func verifyProcs() [2]int { return [2]int{1, max(2, runtime.NumCPU())} }

// runTwice carries out a job in two processes, at the same time if pair is true,
// and fails it if they did not do the same.
func (a *App) runTwice(j *job, pair bool, progress func(childProgress)) finished {
	procs := verifyProcs()
	second := make(chan *attempt, 1)
	runSecond := func() { second <- a.attemptIn(j, procs[1], func(childProgress) {}) }
	if pair {
		go runSecond()
	}
	first := a.attemptIn(j, procs[0], progress)
	if !pair {
		runSecond()
	}
	other := <-second
	if first.err != nil || other.err != nil {
		err := first.err
		if err == nil {
			err = other.err
		}
		return finished{err: errors.Join(err, first.finish(""), other.finish(""))}
	}
	_ = other.finish("") // its report is the first one's
	r, note := first.done.Result, ""
	switch {
	case first.lost || other.lost:
		if !first.lost {
			r.Verdict = reports.Inconclusive
			r.Reasons = append(r.Reasons, "the second process: "+strings.Join(other.done.Result.Reasons, "; "))
		}
	case r.Partial || other.done.Result.Partial:
		r.Partial = true
		note = "Not verified: the two runs were interrupted at different points."
	default:
		difference := compare(first.done, other.done)
		if difference == "" {
			note = fmt.Sprintf("Verified: two processes, GOMAXPROCS %d and %d, did the same: trace %s", procs[0], procs[1], r.TraceHash)
			break
		}
		r.Verdict = reports.Fail
		why := []string{"not deterministic: " + difference}
		if r.TraceHash != other.done.Result.TraceHash || r.Events != other.done.Result.Events {
			found := a.bisect(j, procs, first.done, other.done)
			why = append(why, found.summary)
			note = found.text
		}
		r.Reasons = slices.Concat(why, r.Reasons) // first, as nothing else can be relied on
	}
	return finished{result: r, note: note, err: first.finish(j.out)}
}

// compare says how two runs of the same seed differ; "" is not at all.
func compare(first, second *childDone) string {
	a, b := first.Result, second.Result
	switch {
	case a.TraceHash != b.TraceHash:
		return fmt.Sprintf("the trace hash was %s in one process and %s in another", a.TraceHash, b.TraceHash)
	case a.Events != b.Events:
		return fmt.Sprintf("%d events happened in one process and %d in another, with the same trace hash", a.Events, b.Events)
	}
	// The same happened; it must also have been seen and judged in the same way.
	if line1, line2, differ := firstDifferentLine(measured(a), measured(b)); differ {
		return fmt.Sprintf("the same happened in both processes, but one result says %q and the other %q",
			strings.TrimSpace(line1), strings.TrimSpace(line2))
	}
	return ""
}

// measured is the result without what is about the process.
func measured(r *reports.Result) []byte {
	same := *r
	same.CPUSeconds, same.PeakRSSBytes = 0, 0
	data, err := reports.JSON(&same)
	if err != nil {
		return []byte(err.Error())
	}
	return data
}

func firstDifferentLine(a, b []byte) (string, string, bool) {
	if bytes.Equal(a, b) {
		return "", "", false
	}
	linesA, linesB := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(linesA), len(linesB)) {
		if linesA[i] != linesB[i] {
			return linesA[i], linesB[i], true
		}
	}
	return fmt.Sprintf("%d lines", len(linesA)), fmt.Sprintf("%d lines", len(linesB)), true
}

// divergence is where two runs part.
type divergence struct {
	summary string // one sentence
	text    string // for people: the last common lines, and the first different ones
}

// bisect finds where two runs part. Their checkpoints give the interval; then
// both run once more up to its end, with a full trace of it.
func (a *App) bisect(j *job, procs [2]int, first, second *childDone) divergence {
	same, differ, ok := sim.FirstDifference(first.Checkpoints, second.Checkpoints)
	again := *j
	again.TraceOnly, again.TraceFrom = true, int64(same.Time)
	where := fmt.Sprintf("after event %d (%v)", same.Events, time.Duration(same.Time))
	if ok {
		again.StopAtEvent = differ.Events
		where = fmt.Sprintf("between event %d (%v) and event %d (%v)",
			same.Events, time.Duration(same.Time), differ.Events, time.Duration(differ.Time))
	}
	found, err := a.compareTraces(&again, procs)
	switch {
	case err != nil:
		return divergence{summary: fmt.Sprintf("the first difference is %s; looking closer failed: %v", where, err)}
	case found == nil:
		return divergence{summary: "the first difference is " + where + "; when both ran again, no line of their traces differed"}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\nFirst difference: %s\n", where)
	for _, line := range found.before {
		fmt.Fprintf(&text, "    both            %s\n", line)
	}
	for i, line := range found.lines {
		fmt.Fprintf(&text, "    GOMAXPROCS=%-4d %s\n", procs[i], line)
	}
	return divergence{
		summary: fmt.Sprintf("the first difference is %s: %q against %q", where, found.lines[0], found.lines[1]),
		text:    strings.TrimRight(text.String(), "\n"),
	}
}

// parting is the first line in which two traces differ.
type parting struct {
	before []string // the last lines that they share
	lines  [2]string
}

// sharedLinesMax is how many common lines are shown before the first difference.
const sharedLinesMax = 5

// compareTraces runs a job in two processes at the same time and reads their
// traces side by side, so that neither has to be stored. nil is no difference.
func (a *App) compareTraces(j *job, procs [2]int) (found *parting, err error) {
	var children [2]*process
	var traces [2]*bufio.Reader
	for i := range children {
		if children[i], err = startChild(j, procs[i]); err != nil {
			break
		}
		traces[i] = bufio.NewReaderSize(children[i].stdout, 1<<16)
	}
	if err == nil {
		found, err = a.firstParting(traces)
	}
	for _, child := range children {
		if child == nil {
			continue
		}
		ended := child.dismiss()
		if err == nil && found == nil && ended != nil {
			err = fmt.Errorf("%w: %s", ended, firstLine(string(child.stderr.kept)))
		}
	}
	return found, err
}

const traceEnded = "(the run ended)"

func (a *App) firstParting(traces [2]*bufio.Reader) (*parting, error) {
	var before []string
	for {
		var lines [2]string
		ended := 0
		for i, trace := range traces {
			line, err := trace.ReadString('\n')
			switch {
			case a.stop.stopped():
				return nil, errors.New("interrupted")
			case errors.Is(err, io.EOF) && line == "":
				line = traceEnded
				ended++
			case err != nil && !errors.Is(err, io.EOF):
				return nil, err
			}
			lines[i] = strings.TrimSuffix(line, "\n")
		}
		switch {
		case ended == len(traces):
			return nil, nil
		case lines[0] != lines[1]:
			return &parting{before, lines}, nil
		}
		if len(before) == sharedLinesMax {
			before = append(before[:0], before[1:]...)
		}
		before = append(before, lines[0])
	}
}
