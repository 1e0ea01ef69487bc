package cli

import (
	"os"
	"syscall"
	"testing"
)

// A disk that fills up during the run is an error after it; the result is shown.
func TestFullDisk(t *testing.T) {
	simrun(t, "--trace", "/dev/full", scenarioFile(t, "good", "pass")).want(t, exitInput, "PASS",
		"simrun: cannot write /dev/full: no space left on device (free some space, or give another path with --trace)")
	err := explain("write into", "report", "--out", &os.PathError{Op: "write", Path: "report/.probe-1", Err: syscall.EACCES})
	if want := "cannot write into report: permission denied (make it writable, or give another path with --out)"; err.Error() != want {
		t.Errorf("got %v", err)
	}
}
