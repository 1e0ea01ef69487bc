package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// interrupt is Ctrl-C, and SIGTERM, which is a patient way to say the same. The
// first ends the runs in an orderly way, the second ends the program at once;
// children notice that and end too.
type interrupt struct {
	number  atomic.Int32 // of the signal; 0 is none so far
	first   chan struct{}
	signals chan os.Signal
}

func watchInterrupt(stderr io.Writer) *interrupt {
	i := &interrupt{first: make(chan struct{}), signals: make(chan os.Signal, 2)}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(s) { // a shell's background job stays deaf to Ctrl-C
			signal.Notify(i.signals, s)
		}
	}
	go func() {
		for s := range i.signals {
			number, _ := s.(syscall.Signal)
			if i.number.Load() != 0 {
				os.Exit(exitSignal + int(number))
			}
			i.number.Store(int32(number))
			close(i.first)
			_, _ = fmt.Fprintln(stderr, "\nsimrun: stopping; once more to end at once")
		}
	}()
	return i
}

func (i *interrupt) stopped() bool { return i.number.Load() != 0 }

func (i *interrupt) close() {
	signal.Stop(i.signals)
	close(i.signals)
}

// status is what shells expect of a program that a signal has ended.
func (i *interrupt) status() int { return exitSignal + int(i.number.Load()) }
