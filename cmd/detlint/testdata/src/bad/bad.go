package bad

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os" // want `import of os, which performs I/O`
	"slices"
	"strings"
	"sync" // want `import of sync, which is for several threads`
	"time"
)

var counter int

var table = map[string]int{}

var mu sync.Mutex

type mailbox chan int // want `channel type`

func goroutine() {
	go goroutine() // want `goroutine: deterministic code has one thread`
}

func channels(c mailbox) {
	c <- 1   // want `channel send`
	<-c      // want `channel receive`
	select { // want `select chooses at random`
	default:
	}
}

func clocks() {
	_ = time.Now()          // want `time.Now reads the machine's clock`
	time.Sleep(time.Second) // want `time.Sleep waits`
	_, _ = os.Getwd()
	fmt.Println() // want `fmt.Println performs I/O`
}

func order() {
	for range table { // want `range over a map has no order`
	}
	/* want `a waiver needs its reason behind it` */         //lint:maporder
	_ = maps.Keys(table)                                     // want `maps.Keys has map order`
	_ = slices.SortedFunc(maps.Keys(table), strings.Compare) // want `maps.Keys has map order`
}

func random() int {
	return rand.IntN(3) // want `math/rand/v2.IntN draws from the process's own random numbers`
}

func floats(a, b float64) bool {
	return a < b // want `float arithmetic`
}

func globals() {
	counter++      // want `write to package variable counter`
	table["x"] = 1 // want `write to package variable table`
}
