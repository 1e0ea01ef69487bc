package logs

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Goal: who logs never waits, and what is lost is said. Method: a pipe that is
// not read, in a bubble where waiting for ever would be a deadlock.
func TestALogThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, pipe := io.Pipe()
		var log *slog.Logger
		w := NewWriter(pipe, func(lines uint64) { log.Warn("log lines were dropped", "lines", lines) })
		log = slog.New(slog.NewTextHandler(w, nil))
		log.Info("first")
		synctest.Wait() // it is being written, and nobody reads
		const lines = 2 * linesBytesMax / 1000
		for i := range lines {
			log.Info("more", "number", i, "text", strings.Repeat("x", 1000))
		}
		read := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(reader) // the pipe's other end says no more than its end
			read <- b
		}()
		synctest.Wait()
		log.Info("last")
		w.Close(time.Second)
		_ = pipe.Close() // never fails
		text := string(<-read)
		kept := strings.Count(text, "msg=more")
		if kept == 0 || kept*1000 > linesBytesMax {
			t.Errorf("%d lines of 1000 bytes were kept, of %d", kept, lines)
		}
		if want := fmt.Sprintf(`msg="log lines were dropped" lines=%d`, lines-kept); !strings.Contains(text, want) {
			t.Errorf("nowhere is %s", want)
		}
		if !strings.Contains(text, "msg=first") || !strings.HasSuffix(text, "msg=last\n") {
			t.Error("the first or the last line is missing")
		}
	})
}

// A process that ends does not wait for ever either.
func TestCloseWaitsForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, pipe := io.Pipe()
		w := NewWriter(pipe, func(uint64) {})
		_, _ = w.Write([]byte("line\n")) // never fails
		begin := time.Now()
		w.Close(time.Second)
		if got := time.Since(begin); got != time.Second {
			t.Errorf("waited %v", got)
		}
		_ = reader.Close() // the writer ends
	})
}

func TestLinesAreWrittenInOrder(t *testing.T) {
	var got, want bytes.Buffer
	w := NewWriter(&got, func(uint64) {})
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		_, _ = w.Write([]byte(line)) // never fails
	}
	w.Close(time.Minute)
	if got.String() != want.String() {
		t.Errorf("%d bytes, want %d", got.Len(), want.Len())
	}
}
