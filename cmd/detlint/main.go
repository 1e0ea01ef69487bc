// Command detlint proves, as far as reading code can, that the broker's core and
// the simulator behave the same in every run: it reports goroutines, channels,
// select, clocks, order taken from a map, float arithmetic, global state,
// unseeded random numbers and I/O. Tests are not looked at.
//
//	go run ./cmd/detlint ./broker/... ./netsim/... ./sim/...
package main

import "golang.org/x/tools/go/analysis/singlechecker"

func main() { singlechecker.Main(Analyzer) }
