package host

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// The machine learns of an error only that there was one. Who runs the node must
// find out which, but not be told of every file that is not there.
func TestCauseIsLogged(t *testing.T) {
	var log bytes.Buffer
	f := newFiles(t.TempDir(), new(edge.Pool), slog.New(slog.NewTextHandler(&log, nil)))
	perform := func(path string) edge.DiskError {
		var r edge.DiskResult
		f.perform(&edge.DiskOp{Kind: edge.OpReadFile, Path: path, Length: 1}, &r)
		return r.Err
	}
	if err := perform("missing"); err != edge.ErrNotFound || log.Len() > 0 {
		t.Errorf("a missing file: %v, %s", err, log.String())
	}
	if err := perform(strings.Repeat("x", 300)); err != edge.ErrIO || !strings.Contains(log.String(), "file name too long") {
		t.Errorf("a name that no file can have: %v, %s", err, log.String())
	}
}
