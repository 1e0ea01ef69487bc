package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// run is the command without a subcommand. Everything that can be wrong with
// what was asked for is found before the first run starts.
func (a *App) run(files []string, f *runFlags) error {
	all, err := a.loadAll(files)
	if err != nil {
		return err
	}
	switch {
	case f.real:
		return a.runReal(all, f)
	case f.brokerd != "":
		return errors.New("--brokerd says which brokerd --real shall start, and there is no --real")
	}
	jobs, err := jobsOf(all, f)
	if err != nil {
		return err
	}
	if err := f.fit(len(jobs)); err != nil {
		return err
	}
	return a.carryOut(jobs, f)
}

// fit reports flags that contradict each other.
func (f *runFlags) fit(runs int) error {
	for _, one := range []struct{ name, value string }{
		{"--trace", f.trace}, {"--cpuprofile", f.cpuProfile}, {"--memprofile", f.memProfile},
	} {
		switch {
		case one.value == "":
		case runs > 1:
			return fmt.Errorf("%s is for a single run, and these are %d: give one file, one --seed and no --runs", one.name, runs)
		case f.verify:
			return fmt.Errorf("%s does not go with --verify, which runs each seed twice", one.name)
		}
	}
	return nil
}

func (a *App) carryOut(jobs []job, f *runFlags) error {
	if err := placeReports(jobs, f.out); err != nil {
		return err
	}
	if f.out != "" {
		if err := probeDirectory(f.out); err != nil {
			return err
		}
	}
	a.stop = watchInterrupt(a.Stderr)
	defer a.stop.close()
	show := a.newDisplay(&f.outputFlags, jobs)
	print := a.newPrinter(&f.outputFlags, len(jobs))
	each := func(i int, done finished) {
		show.ended(i)
		print.add(&jobs[i], done)
	}
	if len(jobs) == 1 && !f.verify {
		record, err := startRecording(&f.outputFlags)
		if err != nil {
			return err
		}
		each(0, a.runHere(&jobs[0], record, show.watch(0)))
		a.status = print.close(0)
		return nil
	}
	parallel := int(f.jobs)
	one := func(i int) finished { return a.runInChild(&jobs[i], procsEach(parallel, len(jobs)), show.watch(i)) }
	if f.verify {
		// A pair takes two processes at a time, unless only one is allowed.
		pair := parallel > 1
		if pair {
			parallel /= 2
		}
		one = func(i int) finished { return a.runTwice(&jobs[i], pair, show.watch(i)) }
	}
	a.status = print.close(a.inOrder(jobs, parallel, one, each))
	return nil
}

// procsEach shares the processors among children: a run has one thread, and what
// is more than that only helps its garbage collector. What the user has set is
// left alone.
func procsEach(parallel, jobs int) int {
	if os.Getenv("GOMAXPROCS") != "" {
		return 0
	}
	return max(1, runtime.NumCPU()/min(parallel, jobs))
}

// runHere carries out a job in this process.
func (a *App) runHere(j *job, record *recording, progress func(childProgress)) finished {
	var traceTo io.Writer // a nil *bufio.Writer would not be a nil Writer
	if record.trace != nil {
		traceTo = record.trace
	}
	out, err := a.execute(j, watcher{
		stopped:  a.stop.stopped,
		progress: func(p Progress) { progress(childProgress{p, cpuSeconds()}) },
		traceTo:  traceTo,
	})
	err = errors.Join(err, record.finish())
	if out == nil {
		return finished{err: err}
	}
	note := ""
	if j.check != nil {
		note = j.check(out.Result)
	}
	if j.out != "" {
		err = errors.Join(err, writeReport(j.out, j, out))
	}
	return finished{result: out.Result, note: note, err: err}
}
