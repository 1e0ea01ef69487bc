// Command k6 is Grafana k6 with the module k6/x/kafka. It is a Go module of its
// own: k6 is licensed under the AGPL and brings hundreds of packages, none of
// which Windtunnel needs (docs/decisions/010-k6-is-a-nested-module.md).
package main

import (
	"go.k6.io/k6/cmd"

	_ "github.com/seed-604ea8f1/windtunnel/bench/k6/kafka"
)

func main() { cmd.Execute() }
