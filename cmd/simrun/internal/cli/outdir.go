package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

// fileScenario is the copy of the scenario in a report's directory, from which
// replay repeats the run even if the original has changed since.
const fileScenario = "scenario.yaml"

// writeReport puts everything about a run into a directory.
func writeReport(dir string, j *job, out *Outcome) error {
	files := map[string][]byte{fileScenario: j.Source}
	maps.Copy(files, out.Files)
	return reports.Write(dir, out.Result, files)
}

// placeReports gives each job its directory: the one that was named or, of
// several runs, one for each below it.
func placeReports(jobs []job, dir string) error {
	if dir == "" {
		return nil
	}
	if len(jobs) == 1 {
		jobs[0].out = dir
		return nil
	}
	taken := map[string]string{}
	for i := range jobs {
		j := &jobs[i]
		name := fmt.Sprintf("%s-%d", j.name, j.Seed)
		if other, twice := taken[name]; twice {
			return fmt.Errorf("%s and %s would both be written to %s; give them different names, or run them with different directories for --out",
				other, j.File, filepath.Join(dir, name))
		}
		taken[name] = j.File
		j.out = filepath.Join(dir, name)
	}
	return nil
}

// probeBytes is about the size of a report, so that a disk that is all but full
// is noticed before a long run and not after it.
const probeBytes = 4 << 20

// probeDirectory creates a directory and proves that a report fits into it.
func probeDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return explain("create the directory", dir, "--out", err)
	}
	file, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return explain("write into", dir, "--out", err)
	}
	_, err = file.Write(make([]byte, probeBytes))
	if err == nil {
		err = file.Sync() // some file systems find space only now
	}
	err = errors.Join(err, file.Close(), os.Remove(file.Name()))
	if err != nil {
		return explain("write into", dir, "--out", err)
	}
	return nil
}

// create opens a file that a flag asks for, before the run that fills it.
func create(path, flag string) (*os.File, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, explain("write", path, flag, err)
	}
	return file, nil
}

// explain says what was attempted where, what is in the way, and what helps.
func explain(what, path, flag string, err error) error {
	cure := "give another path with " + flag
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		cure = "free some space, or " + cure
	case errors.Is(err, fs.ErrPermission):
		cure = "make it writable, or " + cure
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EEXIST):
		cure = "a file is where a directory is needed; remove it, or " + cure
	case errors.Is(err, fs.ErrNotExist):
		cure = "create the directory that it is in, or " + cure
	case errors.Is(err, syscall.EISDIR):
		cure = "it is a directory; add the name of a file"
	}
	// The path is said once, and without that of a temporary file.
	for _, one := range []error{err, errors.Unwrap(err)} {
		if at := new(fs.PathError); errors.As(one, &at) {
			err = at.Err
			break
		}
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("cannot %s %s: %s (%s)", what, path, reason, cure)
}
