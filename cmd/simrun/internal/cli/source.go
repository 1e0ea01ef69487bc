package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// sourceBytesMax is more than the loader accepts: enough of any file for it to
// say that the file is too large, and little enough for /dev/zero.
const sourceBytesMax = 1 << 20

// source is a scenario's text and the name under which it was asked for.
type source struct {
	name string
	text []byte
}

// readSource reads a scenario file or, for a bare name, a shipped scenario. A
// file of that name comes first, as it is nearer to the user.
func readSource(name string) (source, error) {
	info, err := os.Stat(name)
	bare := !strings.ContainsAny(name, `/\.`)
	switch {
	case err == nil && !info.IsDir():
		text, err := readBounded(name)
		return source{name, text}, err
	case bare && name != "" && (err == nil || errors.Is(err, fs.ErrNotExist)):
		text, err := scenarios.ReadShipped(name)
		switch command := config.Nearest(name, commandNames); {
		case err != nil && command != "":
			err = fmt.Errorf("no file %q here and %w (simrun list shows all); or the command simrun %s?", name, err, command)
		case err != nil:
			err = fmt.Errorf("no file %q here and %w (simrun list shows all)", name, err)
		}
		return source{name, text}, err
	case err == nil:
		return source{}, fmt.Errorf("%s is a directory; give the scenario files in it", name)
	case errors.Is(err, fs.ErrNotExist) && slices.Contains(scenarios.Shipped(), bareName(name)):
		return source{}, fmt.Errorf("no file %q; the scenario of that name that comes with the program is simrun %s", name, bareName(name))
	case errors.Is(err, fs.ErrNotExist):
		return source{}, fmt.Errorf("no file %q; simrun list shows the scenarios that need no file", name)
	}
	return source{}, fmt.Errorf("read the scenario: %w", err)
}

// bareName is a path's last part without what follows a dot.
func bareName(path string) string {
	base, _, _ := strings.Cut(filepath.Base(path), ".")
	return base
}

func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the scenario: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, sourceBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read the scenario: %w", err)
	}
	return text, nil
}

// loaded is a scenario that can be run.
type loaded struct {
	source
	scenario *scenarios.Scenario
}

// loadAll loads every file and complains about every bad one, so that one call
// shows all that has to be mended.
func (a *App) loadAll(names []string) ([]loaded, error) {
	var all []loaded
	bad := false
	for _, name := range names {
		one, err := load(name)
		if err != nil {
			a.complain(err)
			bad = true
			continue
		}
		all = append(all, one)
	}
	if bad {
		return nil, errComplained
	}
	return all, nil
}

func load(name string) (loaded, error) {
	src, err := readSource(name)
	if err != nil {
		return loaded{}, err
	}
	s, err := scenarios.Load(src.text, src.name)
	if err != nil {
		return loaded{}, err
	}
	return loaded{src, s}, nil
}
