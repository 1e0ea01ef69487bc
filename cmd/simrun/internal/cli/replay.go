package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/spf13/cobra"
)

func (a *App) replayCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "replay DIR",
		Short: "Repeat the run of a report and compare everything that happens",
		Long: "replay repeats the run whose report is in DIR, from the copy of the scenario there, and fails unless the\n" +
			"same happens. Another version of the program may well do something else.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("replay takes the directory of one report, not %d; a run writes it with --out DIR", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.replay(args[0], &f)
		},
	}
	f.outputFlags.addTo(cmd.Flags())
	return cmd
}

// replay repeats a reported run. What it finds is judged like any other run;
// besides, it must be what the report says.
func (a *App) replay(dir string, f *runFlags) error {
	want, err := reports.Read(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, fileScenario)
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no %s: the copy of the scenario, which a run writes beside its result, is gone", path)
	}
	if err != nil {
		return err
	}
	s, err := scenarios.Load(text, path)
	if err != nil {
		return err
	}
	j := job{File: path, Source: text, Seed: want.Seed, Replay: "simrun replay " + shellQuote(dir), name: s.Name}
	if want.Partial {
		j.StopAtEvent = want.Events
	}
	j.check = func(r *reports.Result) (note string) {
		if a.stop.stopped() {
			return "Not compared with the report: interrupted."
		}
		return compareReplay(want, r)
	}
	return a.carryOut([]job{j}, f)
}

// compareReplay fails a result that is not what was reported.
func compareReplay(want, got *reports.Result) (note string) {
	if want.Partial {
		got.Partial = true
	}
	why := ""
	switch {
	case got.TraceHash != want.TraceHash:
		why = fmt.Sprintf("not the reported run: trace hash %s after %d events, the report has %s after %d; was it made by another version?",
			got.TraceHash, got.Events, want.TraceHash, want.Events)
	case got.Verdict != want.Verdict && !want.Partial: // an interrupt is itself a reason
		why = fmt.Sprintf("the same happened as in the report, but its verdict is %s", want.Verdict)
	default:
		reported, now, differ := firstDifferentLine(ofTheRun(want), ofTheRun(got))
		if differ && !want.Partial { // an interrupt comes between events, and looks at a run in its own way
			why = fmt.Sprintf("the same happened as in the report, but it says %q and this run %q; was it, or the copy of the scenario, changed?",
				strings.TrimSpace(reported), strings.TrimSpace(now))
			break
		}
		return "Replayed: the same happened as in the report: trace " + got.TraceHash
	}
	got.Verdict, got.Reasons = reports.Fail, slices.Insert(got.Reasons, 0, why)
	return ""
}

// ofTheRun is what a result says but for how the run was asked for.
func ofTheRun(r *reports.Result) []byte {
	same := *r
	same.File, same.Replay = "", ""
	return measured(&same)
}
