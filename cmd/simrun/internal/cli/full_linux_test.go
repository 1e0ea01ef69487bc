package cli

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// A result that could not be printed is not a success.
func TestFullStdout(t *testing.T) {
	good := scenarioFile(t, "good", "pass")
	for _, args := range [][]string{{good}, {"--format", "json", good}, {"list"}, {"validate", good}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		cmd := program(t, args...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = full, &stderr
		_ = cmd.Run() // the exit status is looked at
		if got := cmd.ProcessState.ExitCode(); got != exitInput || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%q: exit status %d: %s", args, got, stderr.String())
		}
		if err := full.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that fills up during the run is an error after it; the result is shown.
func TestFullDisk(t *testing.T) {
	simrun(t, "--trace", "/dev/full", scenarioFile(t, "good", "pass")).want(t, exitInput, "PASS",
		"simrun: cannot write /dev/full: no space left on device (free some space, or give another path with --trace)")
	err := explain("write into", "report", "--out", &os.PathError{Op: "write", Path: "report/.probe-1", Err: syscall.EACCES})
	if want := "cannot write into report: permission denied (make it writable, or give another path with --out)"; err.Error() != want {
		t.Errorf("got %v", err)
	}
}
