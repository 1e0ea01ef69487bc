package main

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// hugePagesBytes is how much of the heap's beginning may lie on huge pages, more
// than any shipped scenario needs.
const hugePagesBytes = 1 << 30

// useHugePages asks for huge pages for the heap. A simulation goes to and fro in
// hundreds of megabytes, and on pages of 4 KiB a good part of its time is spent on
// finding them. Go does not ask; so a slice takes the addresses of the heap to be,
// is never touched, and leaves them to the heap with the advice in place. Where
// the kernel refuses, a run is slower and no more.
func useHugePages() {
	heap := make([]byte, hugePagesBytes)
	_ = unix.Madvise(heap, unix.MADV_HUGEPAGE)
	runtime.KeepAlive(heap)
	runtime.GC()
}
