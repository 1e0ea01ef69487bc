package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Names of the files of a run's directory. Each histogram adds NAME.hgrm and
// NAME.hlog.
const (
	FileResult  = "result.json"
	FileJUnit   = "junit.xml"
	FilePage    = "report.html"
	FileSummary = "summary.txt"
)

// Write puts everything about a run into a directory, which it creates. extra are
// further files by name. Each file is complete or absent: it is written beside
// its place, synced and renamed. result.json goes first and comes last, so that a
// directory that has one has the rest. Errors name the path and what would help.
func Write(dir string, r *Result, extra map[string][]byte) error {
	files, err := render(r, extra)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return writeError(dir, err)
	}
	if err := clear(dir, files); err != nil {
		return writeError(dir, err)
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := writeFile(path, f.data); err != nil {
			return writeError(path, err)
		}
	}
	return nil
}

// clear takes away what another run has left in the directory of its report: the
// result, and what would be taken for this run's although it does not write it.
func clear(dir string, files []file) error {
	if err := os.Remove(filepath.Join(dir, FileResult)); err != nil {
		return ignoreAbsent(err) // no report is there
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		written := slices.ContainsFunc(files, func(f file) bool { return f.name == e.Name() })
		if !written && e.Type().IsRegular() && perRun(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// perRun tells the files that one run writes and another does not: histograms of
// phases, and porcupine's pictures.
func perRun(name string) bool {
	for _, pattern := range []string{"produce.*.h[gl]*", "e2e.*.h[gl]*", "porcupine-*.html"} {
		if is, _ := filepath.Match(pattern, name); is { // the patterns are well-formed
			return true
		}
	}
	return false
}

type file struct {
	name string
	data []byte
}

// render makes all contents before anything is written. No name may come twice:
// the second would replace the first.
func render(r *Result, extra map[string][]byte) (files []file, err error) {
	taken := make(map[string]string)
	add := func(name, what string, data []byte, failed error) {
		switch other, twice := taken[name]; {
		case err != nil:
		case failed != nil:
			err = failed
		case twice:
			err = fmt.Errorf("two files of a run are called %s: %s and %s", name, other, what)
		default:
			taken[name] = what
			files = append(files, file{name, data})
		}
	}
	add(FileSummary, "the summary", []byte(Text(r, false)), nil)
	data, failed := JUnit(r)
	add(FileJUnit, "the JUnit XML", data, failed)
	data, failed = HTML(r)
	add(FilePage, "the page", data, failed)
	for _, h := range r.Histograms {
		if h.Hist == nil {
			return nil, fmt.Errorf("histogram %q has no content", h.Name)
		}
		name := fileName(h.Name)
		data, failed = Hgrm(h.Hist)
		add(name+".hgrm", "histogram "+h.Name, data, failed)
		data, failed = Hlog(h, r.VirtualSeconds)
		add(name+".hlog", "histogram "+h.Name, data, failed)
	}
	names := make([]string, 0, len(extra))
	for name := range extra {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		failed = nil
		if name != filepath.Base(name) || name == "." || name == ".." {
			failed = fmt.Errorf("%q is not a plain file name", name)
		}
		if name == FileResult {
			failed = fmt.Errorf("%s is written by us", name)
		}
		add(name, "an extra file", extra[name], failed)
	}
	data, failed = JSON(r)
	add(FileResult, "the result", data, failed)
	return files, err
}

// writeFile replaces a file as a whole, or leaves the old one and no other.
func writeFile(path string, data []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreAbsent(os.Remove(temp.Name())))
		}
	}()
	if err := fill(temp, data); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// fill writes, syncs and closes; the first failure counts.
func fill(f *os.File, data []byte) error {
	_, err := io.Copy(f, bytes.NewReader(data))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeError says what was attempted, what went wrong and what would help.
func writeError(path string, err error) error {
	cure := "choose another directory with --out"
	switch {
	case errors.Is(err, fs.ErrPermission):
		cure = "make the directory writable, or choose another with --out"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		cure = "free some space, or choose a directory on another disk with --out"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EEXIST):
		cure = "a file is where a directory is needed: remove it, or choose another directory with --out"
	case errors.Is(err, syscall.EROFS):
		cure = "the file system is read-only: choose a directory on another one with --out"
	}
	// The path is said once, and not that of the temporary file.
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("write %s: %w (%s)", path, err, cure)
}

// Read returns the result that Write put into a directory, with the histograms
// that are there.
func Read(dir string) (*Result, error) {
	path := filepath.Join(dir, FileResult)
	data, err := os.ReadFile(path)
	if err != nil {
		several, _ := filepath.Glob(filepath.Join(dir, "*", FileResult)) // of a name with [ in it none are found
		switch {
		case errors.Is(err, fs.ErrNotExist) && len(several) > 0:
			return nil, fmt.Errorf("read %s: no such file; these are the reports of several runs, such as %s", path, filepath.Dir(several[0]))
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("read %s: no such file (a run writes it with --out DIR; is %s such a DIR?)", path, dir)
		case errors.Is(err, syscall.ENOTDIR):
			return nil, fmt.Errorf("%s is a file; give the directory that a run wrote with --out", dir)
		}
		return nil, fmt.Errorf("read a result: %w", err)
	}
	r, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("read the histograms of a result: %w", err)
	}
	for _, e := range entries {
		name, isLog := strings.CutSuffix(e.Name(), ".hlog")
		if !isLog || !e.Type().IsRegular() {
			continue
		}
		h, err := readHistogram(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if h.Hist != nil {
			h.Name = name
			r.Histograms = append(r.Histograms, h)
		}
	}
	return r, nil
}

func readHistogram(path string) (NamedHistogram, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return NamedHistogram{}, fmt.Errorf("read a histogram log: %w", err)
	}
	h, err := ReadHlog(bytes.NewReader(data))
	if err != nil {
		return h, fmt.Errorf("read %s: %w", path, err)
	}
	return h, nil
}
