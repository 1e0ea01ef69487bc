// Command brokerd is the broker as a real server. It only joins the command line
// to the process.
package main

import (
	"fmt"
	"os"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/cli"
)

func main() {
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "brokerd: find the program:", err)
		os.Exit(2)
	}
	app := cli.App{Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Program: program}
	os.Exit(app.Main(os.Args[1:]))
}
