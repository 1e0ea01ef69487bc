package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

// finished is what has become of one job.
type finished struct {
	result *reports.Result
	note   string // for people, below the result; may be empty
	err    error  // the job could not be carried out, or its report not written
}

// stderrBytesMax bounds what is kept of a child's complaints: the end of it.
const stderrBytesMax = 64 << 10

// tail keeps the last bytes that were written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - stderrBytesMax; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// process is a running child, seen from its parent.
type process struct {
	cmd    *exec.Cmd
	mutex  sync.Mutex // of orders
	orders *json.Encoder
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr tail
}

// startChild starts a process for a job. maxProcs is its GOMAXPROCS, 0 for what
// it inherits.
func startChild(j *job, maxProcs int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program to start it again: %w", err)
	}
	p := &process{cmd: exec.Command(self, childName)}
	if maxProcs > 0 {
		p.cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", maxProcs))
	}
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process for the run: %w", err)
	}
	p.orders = json.NewEncoder(p.stdin)
	_ = p.order(j) // a child that is gone already shows in what it answers
	return p, nil
}

func (p *process) order(what any) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.orders.Encode(what)
}

// dismiss ends a child that is not needed any more and waits for it.
func (p *process) dismiss() error {
	_ = p.stdin.Close() // it is told to end by this; an error is that it has
	return p.cmd.Wait()
}

// follow reads a child's answers up to one that is not progress.
func (p *process) follow(answers *json.Decoder, progress func(childProgress)) (*answer, error) {
	for {
		var got answer
		if err := answers.Decode(&got); err != nil {
			return nil, errors.Join(err, p.dismiss())
		}
		if got.Progress == nil {
			return &got, nil
		}
		progress(*got.Progress)
	}
}

// attempt is a run in a child, held until finish.
type attempt struct {
	*process
	app     *App
	answers *json.Decoder
	done    *childDone
	lost    bool  // the process ended without an answer; done stands for it
	err     error // the job could not be carried out
}

// attemptIn runs a job in a process of its own.
func (a *App) attemptIn(j *job, maxProcs int, progress func(childProgress)) *attempt {
	p, err := startChild(j, maxProcs)
	if err != nil {
		return &attempt{err: err}
	}
	t := &attempt{process: p, app: a, answers: json.NewDecoder(p.stdout)}
	answered := make(chan struct{})
	defer close(answered)
	go func() {
		select {
		case <-a.stop.first:
			_ = p.order(order{Stop: true}) // if it is gone it needs no order
		case <-answered:
		}
	}()
	got, err := p.follow(t.answers, progress)
	switch {
	case err != nil:
		why := fmt.Sprintf("the process of this run ended without a result (%v); was it killed, or out of memory?", p.cmd.ProcessState)
		if text := bytes.TrimSpace(p.stderr.kept); len(text) > 0 {
			why += " It said: " + firstLine(string(text))
			a.warn("%s\n", text)
		}
		t.done = &childDone{Result: failedResult(j, reports.Inconclusive, why)}
		t.process, t.lost = nil, true
	case got.Error != "":
		t.err = errors.New(got.Error)
	default:
		t.done = got.Done
	}
	return t
}

// finish has the child write its report, if one is wanted, and ends it.
func (t *attempt) finish(out string) error {
	if t.process == nil {
		return nil
	}
	var err error
	if out != "" && t.done != nil {
		r := t.done.Result
		_ = t.order(order{Report: &reportOrder{out, r.Verdict, r.Reasons}}) // seen in the answer
		got, gone := t.follow(t.answers, func(childProgress) {})
		switch {
		case gone != nil:
			return fmt.Errorf("write the report into %s: the process ended: %w", out, gone)
		case got.Error != "":
			err = errors.New(got.Error)
		}
	}
	_ = t.dismiss()                                  // everything that it had to say was heard
	_, _ = t.app.Stderr.Write(t.process.stderr.kept) // for example the stack of a crash
	return err
}

// runInChild is a job carried out once.
func (a *App) runInChild(j *job, maxProcs int, progress func(childProgress)) finished {
	t := a.attemptIn(j, maxProcs, progress)
	if t.err != nil {
		return finished{err: errors.Join(t.err, t.finish(""))}
	}
	return finished{result: t.done.Result, err: t.finish(j.out)}
}

// inOrder carries out jobs, up to parallel at a time, and hands over what has
// become of them in their order. It returns how many were never begun because
// of an interrupt.
func (a *App) inOrder(jobs []job, parallel int, one func(index int) finished, each func(index int, f finished)) (left int) {
	done := make([]chan finished, len(jobs))
	for i := range done {
		done[i] = make(chan finished, 1)
	}
	next := make(chan int)
	for range min(parallel, len(jobs)) {
		go func() {
			for i := range next {
				done[i] <- one(i)
			}
		}()
	}
	go func() {
		defer close(next)
		for i := range jobs {
			if !a.stop.stopped() { // of two ready cases select takes any
				select {
				case <-a.stop.first:
				case next <- i:
					continue
				}
			}
			for j := i; j < len(jobs); j++ {
				close(done[j])
			}
			return
		}
	}()
	for i := range jobs {
		f, begun := <-done[i]
		if !begun {
			return len(jobs) - i
		}
		each(i, f)
	}
	return 0
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
