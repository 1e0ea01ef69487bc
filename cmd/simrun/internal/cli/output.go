package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

// printer prints results as they come and keeps count of them.
type printer struct {
	app     *App
	flags   *outputFlags
	runs    int // planned
	summary reports.Summary
	judged  int  // runs in the summary
	failed  int  // runs that came to nothing, and reports that could not be written
	partial bool // a run was interrupted
	all     []*reports.Result
}

func (a *App) newPrinter(f *outputFlags, runs int) *printer {
	return &printer{app: a, flags: f, runs: runs}
}

// add prints what has become of a job.
func (p *printer) add(j *job, f finished) {
	if r := f.result; r != nil {
		p.judged++
		p.summary.Add(r)
		p.partial = p.partial || r.Partial
		f.err = errors.Join(f.err, p.print(j, f))
		if p.runs > 1 && p.flags.out != "" {
			p.all = append(p.all, r)
		}
	}
	if f.err != nil {
		p.failed++
		p.app.complain(f.err)
	}
}

func (p *printer) print(j *job, f finished) error {
	r, text := f.result, ""
	switch {
	case p.flags.format == "json":
		line, err := reports.JSONLine(r)
		if err != nil {
			return err
		}
		p.app.print("%s", line)
		return nil
	case r.Verdict == reports.Pass && !r.Partial && (p.flags.quiet || p.runs > 1):
		text = reports.Line(r, p.app.color)
	default:
		text = reports.Text(r, p.app.color) + p.whereabouts(j, f)
	}
	if f.note != "" {
		text += f.note + "\n"
	}
	p.app.print("%s", text)
	return nil
}

// whereabouts says where the report is, or how to get it.
func (p *printer) whereabouts(j *job, f finished) string {
	switch {
	case j.out != "" && f.err == nil:
		return fmt.Sprintf("\nReport         %s\n", j.out)
	case j.out == "" && f.result.Verdict != reports.Pass:
		return "\nAdd --out DIR to the command above for the whole report.\n"
	}
	return ""
}

// close prints the summary of several runs and returns the exit status. left is
// how many runs were never begun.
func (p *printer) close(left int) int {
	if p.flags.format != "json" && p.runs > 1 {
		p.app.print("\n%s", p.summary.Text(p.app.color))
	}
	if left > 0 {
		p.app.warn("simrun: interrupted: %d of %d runs were never begun\n", left, p.runs)
	}
	if len(p.all) > 0 {
		if err := p.writeJUnit(); err != nil {
			p.failed++
			p.app.complain(err)
		}
	}
	switch {
	case (p.partial || left > 0) && p.app.stop.stopped():
		return p.app.stop.status()
	case p.failed > 0 || p.judged == 0:
		return exitInput
	}
	return statusOf(p.summary.Verdict())
}

// statusOf is the exit status of a verdict.
func statusOf(v reports.Verdict) int {
	switch v {
	case reports.Pass:
		return exitPass
	case reports.Fail:
		return exitFail
	}
	return exitInconclusive
}

// writeJUnit writes one file for all runs, besides that of each: CI servers take
// one.
func (p *printer) writeJUnit() error {
	data, err := reports.JUnit(p.all...)
	if err != nil {
		return err
	}
	path := filepath.Join(p.flags.out, reports.FileJUnit)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return explain("write", path, "--out", err)
	}
	return nil
}
