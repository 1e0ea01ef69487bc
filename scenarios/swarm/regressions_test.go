package swarm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: what has been found once is not found again.
// Method: the smallest scenario of every finding, with its seed, judged as the
// random ones are.
func TestRegressions(t *testing.T) {
	files, err := filepath.Glob("../testdata/regressions/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no regressions: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := scenarios.Load(data, file)
			if err != nil {
				t.Fatal(err)
			}
			if j := Try(s, uint64(s.Seed)); j.Failed {
				t.Errorf("%s\n%s\nsimrun %s --seed 0x%x", j.Kind, j.Text, file, uint64(s.Seed))
			}
		})
	}
}
