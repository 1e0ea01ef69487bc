// Package settings reads a node's properties from where a user may have put
// them: a .properties or YAML file, the environment, the command line. It says
// of each error where the property was given, and owns no property itself.
package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Given is a property and where it was given.
type Given struct {
	config.KV
	Where string // "file:line", an environment variable or a flag
}

// EnvironmentPrefix begins the variables that are properties:
// WINDTUNNEL_LOG_RETENTION_MS is log.retention.ms.
const EnvironmentPrefix = "WINDTUNNEL_"

// propertyOf turns what follows the prefix into a property's name, by the rule of
// Kafka's images: an underscore is a dot, two are one, three are a hyphen. Those of
// SCRAM's mechanisms need no three.
func propertyOf(variable string) string {
	name := strings.NewReplacer("___", "-", "__", "_", "_", ".").Replace(strings.ToLower(variable))
	return strings.NewReplacer(".scram.sha.256.", ".scram-sha-256.", ".scram.sha.512.", ".scram-sha-512.").Replace(name)
}

// fileBytesMax bounds a configuration file.
const fileBytesMax = 4 << 20

// File reads a .properties file, or a YAML one by its extension.
func File(path string) ([]Given, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if info.Size() > fileBytesMax {
		return nil, fmt.Errorf("read the configuration: %s has %d bytes, at most %d are read", path, info.Size(), fileBytesMax)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return parseYAML(path, data)
	}
	return parseProperties(path, string(data))
}

// Environment reads the variables with the prefix out of a list of NAME=value.
func Environment(environ []string) []Given {
	var out []Given
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		rest, ok := strings.CutPrefix(name, EnvironmentPrefix)
		if !ok || rest == "" {
			continue
		}
		out = append(out, Given{config.KV{Name: propertyOf(rest), Value: value}, "environment variable " + name})
	}
	return out
}

// Flags reads key=value as given on the command line.
func Flags(overrides []string) ([]Given, error) {
	var out []Given
	for _, text := range overrides {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--override %s: want key=value", text)
		}
		out = append(out, Given{config.KV{Name: strings.TrimSpace(name), Value: value}, "--override"})
	}
	return out, nil
}

// Parse reads the properties of several sources, a later one replacing what an
// earlier one says. Within one source a property is given once.
func Parse(sources ...[]Given) (*config.Settings, error) {
	where := make(map[string]string)
	var all []config.KV
	for _, source := range sources {
		once := make(map[string]string)
		for _, g := range source {
			if before, twice := once[g.Name]; twice {
				return nil, fmt.Errorf("%s: property %s is given twice, before at %s", g.Where, g.Name, before)
			}
			once[g.Name] = g.Where
			if _, earlier := where[g.Name]; earlier {
				all = drop(all, g.Name)
			}
			where[g.Name] = g.Where
			all = append(all, g.KV)
		}
	}
	s, err := config.ParseSettings(all)
	return s, Locate(err, where)
}

// Locate puts the place of the property at fault before an error.
func Locate(err error, where map[string]string) error {
	var e *config.Error
	if errors.As(err, &e) {
		if place := where[e.Name]; place != "" {
			return fmt.Errorf("%s: %w", place, err)
		}
	}
	return err
}

// Where says where each property of some sources is given; of several places,
// the last.
func Where(sources ...[]Given) map[string]string {
	where := make(map[string]string)
	for _, source := range sources {
		for _, g := range source {
			where[g.Name] = g.Where
		}
	}
	return where
}

func drop(list []config.KV, name string) []config.KV {
	out := list[:0]
	for _, kv := range list {
		if kv.Name != name {
			out = append(out, kv)
		}
	}
	return out
}
