// Command peers is the load generator with the systems that brokerd is compared
// with: it can serve them, each in a process of its own, and load NATS JetStream
// beside Kafka clusters. It is a module of its own, so that nobody who builds
// Windtunnel builds other brokers.
//
//	peers serve kfake --dir DIR --port N
//	peers serve jetstream --dir DIR --port N
//	peers --target ours=127.0.0.1:9092 --target nats=nats://127.0.0.1:4222 WORKLOAD.yaml...
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/seed-604ea8f1/windtunnel/bench/load"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serveCommand().Execute(); err != nil {
			fmt.Fprintln(os.Stderr, "peers:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(load.Main(load.Scheme{"nats://": newJetStream}))
}

// readySeconds is how long a server may take to start.
const readySeconds = 10

func serveCommand() *cobra.Command {
	var dir string
	var port int
	cmd := &cobra.Command{
		Use: "serve kfake|jetstream", ValidArgs: []string{"kfake", "jetstream"}, SilenceUsage: true, SilenceErrors: true,
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if args[0] == "kfake" {
				return serveKfake(ctx, dir, port)
			}
			return serveJetStream(ctx, dir, port)
		},
	}
	// The word serve is an argument of the program.
	cmd.SetArgs(os.Args[2:])
	cmd.Flags().StringVar(&dir, "dir", "", "where the data goes")
	cmd.Flags().IntVar(&port, "port", 0, "the port on 127.0.0.1")
	for _, required := range []string{"dir", "port"} {
		if err := cmd.MarkFlagRequired(required); err != nil {
			panic(err)
		}
	}
	return cmd
}

// serveKfake is franz-go's broker in one process, with its records in files.
func serveKfake(ctx context.Context, dir string, port int) error {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir))
	if err != nil {
		return fmt.Errorf("start kfake: %w", err)
	}
	<-ctx.Done()
	cluster.Close()
	return nil
}

// serveJetStream is one NATS server with its streams in files; it syncs as it
// does by default, every two minutes.
func serveJetStream(ctx context.Context, dir string, port int) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true})
	if err != nil {
		return fmt.Errorf("start nats-server: %w", err)
	}
	go s.Start()
	if !s.ReadyForConnections(readySeconds * time.Second) {
		return errors.New("nats-server does not get ready at " + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
