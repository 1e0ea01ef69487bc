package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// recording is what is written while a run lasts, beside its result: the trace
// and the profiles. All files are opened before the run.
type recording struct {
	trace            *bufio.Writer
	traceFile        *os.File
	cpu, heap        *os.File
	tracePath        string
	cpuPath, memPath string
}

const traceBufferBytes = 1 << 20

func startRecording(f *outputFlags) (r *recording, err error) {
	r = &recording{tracePath: f.trace, cpuPath: f.cpuProfile, memPath: f.memProfile}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.discard())
		}
	}()
	if f.trace != "" {
		if r.traceFile, err = create(f.trace, "--trace"); err != nil {
			return r, err
		}
		r.trace = bufio.NewWriterSize(r.traceFile, traceBufferBytes)
	}
	if f.memProfile != "" {
		if r.heap, err = create(f.memProfile, "--memprofile"); err != nil {
			return r, err
		}
	}
	if f.cpuProfile != "" {
		if r.cpu, err = create(f.cpuProfile, "--cpuprofile"); err != nil {
			return r, err
		}
		if err = pprof.StartCPUProfile(r.cpu); err != nil {
			return r, fmt.Errorf("profile: %w", err)
		}
	}
	return r, nil
}

func (r *recording) discard() error {
	var errs []error
	for _, file := range []*os.File{r.traceFile, r.heap, r.cpu} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// finish completes the files.
func (r *recording) finish() error {
	var errs []error
	if r.cpu != nil {
		pprof.StopCPUProfile()
		if err := r.cpu.Close(); err != nil {
			errs = append(errs, explain("write", r.cpuPath, "--cpuprofile", err))
		}
	}
	if r.heap != nil {
		runtime.GC() // what is still reachable is what matters
		if err := errors.Join(pprof.WriteHeapProfile(r.heap), r.heap.Close()); err != nil {
			errs = append(errs, explain("write", r.memPath, "--memprofile", err))
		}
	}
	if r.trace != nil {
		if err := errors.Join(r.trace.Flush(), r.traceFile.Close()); err != nil {
			errs = append(errs, explain("write", r.tracePath, "--trace", err))
		}
	}
	return errors.Join(errs...)
}
