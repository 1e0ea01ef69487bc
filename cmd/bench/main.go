// Command bench loads a Kafka cluster and measures what its clients see.
package main

import (
	"os"

	"github.com/seed-604ea8f1/windtunnel/bench/load"
)

func main() { os.Exit(load.Main(nil)) }
