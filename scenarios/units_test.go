package scenarios

import (
	"strings"
	"testing"
)

// Goal: a seed means the same in a file as on the command line.
// Method: the same texts through the parser that both use, and one through a file.
func TestSeeds(t *testing.T) {
	for text, want := range map[string]Seed{"7": 7, "0755": 755, "0x2a": 42, "0X2A": 42, "18446744073709551615": 1<<64 - 1} {
		if got, err := ParseSeed(text); err != nil || got != want {
			t.Errorf("%s is %d, want %d: %v", text, got, want, err)
		}
	}
	for _, text := range []string{"", "-1", "1_000", "0b11", "0x", "1e3", "18446744073709551616"} {
		if got, err := ParseSeed(text); err == nil {
			t.Errorf("%q is %d, want an error", text, got)
		}
	}
	file := strings.Replace(string(read(t, "smoke.yaml")), "seed: 1\n", "seed: 0755\n", 1)
	if s, err := Load([]byte(file), "smoke.yaml"); err != nil || s.Seed != 755 {
		t.Errorf("seed: 0755 is %d, %v", s.Seed, err)
	}
}
