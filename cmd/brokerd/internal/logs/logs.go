// Package logs writes a node's log lines without making who logs wait. The
// goroutine that drives a node logs, and stderr may be a pipe that nobody reads.
package logs

import (
	"io"
	"sync"
	"time"
)

// linesBytesMax bounds the lines that wait to be written. What comes beyond it is
// dropped and counted.
const linesBytesMax = 1 << 20

// Writer is an io.Writer that never blocks. Each call of Write is one line.
type Writer struct {
	to      io.Writer
	dropped func(lines uint64)

	mu      sync.Mutex
	pending []byte
	lost    uint64 // lines, since the last report
	closed  bool
	wakeup  chan struct{}
	done    chan struct{}
}

// NewWriter returns a writer to w. dropped is told, between two writes, how many
// lines have been lost; it may log that. Close ends it.
func NewWriter(w io.Writer, dropped func(lines uint64)) *Writer {
	l := &Writer{to: w, dropped: dropped, wakeup: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes a line, or drops it if too much waits. It always succeeds.
func (l *Writer) Write(line []byte) (int, error) {
	l.mu.Lock()
	if l.closed || len(l.pending)+len(line) > linesBytesMax {
		l.lost++
	} else {
		l.pending = append(l.pending, line...)
	}
	l.mu.Unlock()
	l.ring()
	return len(line), nil
}

func (l *Writer) ring() {
	select {
	case l.wakeup <- struct{}{}:
	default:
	}
}

func (l *Writer) run() {
	defer close(l.done)
	var lines []byte
	for range l.wakeup {
		for more := true; more; {
			var lost uint64
			var closed bool
			l.mu.Lock()
			lines, l.pending = l.pending, lines[:0]
			lost, l.lost = l.lost, 0
			closed = l.closed
			l.mu.Unlock()
			if len(lines) > 0 {
				// There is nowhere to say that the log cannot be written.
				_, _ = l.to.Write(lines)
			}
			if lost > 0 && !closed {
				l.dropped(lost)
			}
			if more = len(lines) > 0; !more && closed {
				return
			}
		}
	}
}

// Close waits until all lines are written, but no longer than the limit.
func (l *Writer) Close(limit time.Duration) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.ring()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
	}
}
