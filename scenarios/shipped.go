package scenarios

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.yaml
var shippedFiles embed.FS

// Shipped lists the names of the scenarios that come with the program, sorted.
func Shipped() []string {
	entries, err := fs.ReadDir(shippedFiles, ".")
	if err != nil {
		panic(err) // embedded at build time
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".yaml")
	}
	slices.Sort(names) // by name: files are in the order of name.yaml
	return names
}

// ReadShipped returns the text of a shipped scenario.
func ReadShipped(name string) ([]byte, error) {
	data, err := shippedFiles.ReadFile(name + ".yaml")
	if err != nil {
		if near := nearest(name, Shipped()); near != "" {
			return nil, fmt.Errorf("no shipped scenario %q; did you mean %q?", name, near)
		}
		return nil, fmt.Errorf("no shipped scenario %q", name)
	}
	return data, nil
}
