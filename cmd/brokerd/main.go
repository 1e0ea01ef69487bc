// Command brokerd is the broker as a real server.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/server"
)

func main() {
	dev := flag.Bool("dev", false, "one node on localhost:9092 with its data in ./data")
	dir := flag.String("data", "data", "data directory of --dev")
	address := flag.String("listen", "localhost:9092", "client listener of --dev")
	flag.Parse()
	if !*dev {
		fmt.Fprintln(os.Stderr, "brokerd: only --dev is served so far")
		os.Exit(2)
	}
	level := slog.LevelInfo
	if os.Getenv("BROKERD_DEBUG") != "" {
		level = slog.LevelDebug
	}
	d := server.Dev{Dir: *dir, Address: *address, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := d.Run(ctx, func(address string) { fmt.Printf("bootstrap.servers=%s\n", address) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "brokerd:", err)
		os.Exit(1)
	}
}
