// Package profile keeps named connections in one YAML file of the user's
// configuration directory. Passwords may be in it, so only its owner can read it.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/connect"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
)

// fileBytesMax bounds the file: it is small, or it is another file.
const fileBytesMax = 1 << 20

// Store is the file, read once.
type Store struct {
	Current  string                       `yaml:"current,omitempty"`
	Profiles map[string]map[string]string `yaml:"profiles,omitempty"`
	path     string
}

// Path is where the profiles are kept below the user's configuration directory.
func Path(configDir string) string {
	return filepath.Join(configDir, "windtunnel", "brokerctl.yaml")
}

// Load reads the profiles of a file. One that does not exist has none.
func Load(path string) (*Store, error) {
	s := &Store{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, problem.Input("read the profiles: %w", err)
	}
	if len(data) > fileBytesMax {
		return nil, problem.Input("%s: %d bytes are more than profiles ever have; is this another file?", path, len(data))
	}
	if err := yaml.UnmarshalWithOptions(data, s, yaml.Strict()); err != nil {
		return nil, problem.Input("%s: %s; correct it or delete the file", path, firstLine(yaml.FormatError(err, false, false)))
	}
	for name, values := range s.Profiles {
		for key := range values {
			if _, err := connect.Lookup(key); err != nil {
				return nil, problem.Input("%s: profile %q: %w", path, name, err)
			}
		}
	}
	return s, nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Names lists the profiles in order.
func (s *Store) Names() []string { return slices.Sorted(maps.Keys(s.Profiles)) }

// Get finds a profile.
func (s *Store) Get(name string) (map[string]string, error) {
	values, ok := s.Profiles[name]
	if ok {
		return values, nil
	}
	if near := config.Nearest(name, s.Names()); near != "" {
		return nil, problem.Missing("profile %q does not exist in %s; nearest is %q", name, s.path, near)
	}
	return nil, problem.Missing("profile %q does not exist in %s; brokerctl profile list shows those that do", name, s.path)
}

// Put adds a profile, which becomes the current one if it is the first.
func (s *Store) Put(name string, values map[string]string) {
	if s.Profiles == nil {
		s.Profiles = map[string]map[string]string{}
	}
	if len(s.Profiles) == 0 {
		s.Current = name
	}
	s.Profiles[name] = values
}

// Delete removes a profile.
func (s *Store) Delete(name string) {
	delete(s.Profiles, name)
	if s.Current == name {
		s.Current = ""
	}
}

// Save writes the file in one step, so that a crash leaves the old one.
func (s *Store) Save() error {
	data, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the profiles: %w", err)
	}
	directory := filepath.Dir(s.path)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return problem.Input("save the profiles: %w", err)
	}
	temporary, err := os.CreateTemp(directory, "brokerctl-*.tmp") // mode 0600
	if err != nil {
		return problem.Input("save the profiles: %w", err)
	}
	_, err = temporary.Write(data)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), s.path)
	}
	if err != nil {
		return problem.Input("save the profiles: %w", errors.Join(err, os.Remove(temporary.Name())))
	}
	return nil
}
