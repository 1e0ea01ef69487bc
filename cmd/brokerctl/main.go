// Command brokerctl looks after any Kafka cluster from a shell. It speaks the
// Kafka protocol and nothing else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)
	app := cli.App{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Env: os.Getenv, ConfigDir: os.UserConfigDir, Now: time.Now,
		Terminal: isTerminal(os.Stdin) && isTerminal(os.Stderr),
	}
	os.Exit(app.Main(ctx, os.Args[1:]))
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
