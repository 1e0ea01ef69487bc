// Package server assembles one real node: settings, data directory, sockets,
// the core and its host. It decides nothing that Kafka's protocol decides.
package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/host"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
)

// Dev is the one-node broker of brokerd --dev.
type Dev struct {
	Dir       string
	Address   string // of the client listener
	Overrides []config.KV
	Logger    *slog.Logger
}

// devDefaults are what a single node needs to be different from a cluster's.
var devDefaults = []config.KV{
	{Name: "offsets.topic.replication.factor", Value: "1"},
	{Name: "group.initial.rebalance.delay.ms", Value: "0"},
	// After a kill the controller takes the old process for alive until its
	// session ends, and refuses the new one so long.
	{Name: "broker.session.timeout.ms", Value: "2000"},
	{Name: "broker.heartbeat.interval.ms", Value: "500"},
}

// Run serves until ctx ends and the node has shut down.
func (d *Dev) Run(ctx context.Context, ready func(address string)) error {
	overrides := append([]config.KV{}, d.Overrides...)
	for _, kv := range devDefaults {
		if !has(overrides, kv.Name) {
			overrides = append(overrides, kv)
		}
	}
	settings, err := config.ParseBroker(overrides)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	client, err := net.Listen("tcp", d.Address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", d.Address, err)
	}
	quorum, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("listen for the quorum: %w", err), client.Close())
	}
	h, err := host.Open(host.Config{
		Dir: d.Dir, Logger: d.Logger,
		Listeners: []host.Listener{
			{Number: edge.ListenerClient, Name: "PLAINTEXT", Socket: client},
			{Number: edge.ListenerController, Name: "CONTROLLER", Socket: quorum},
		},
	})
	if err != nil {
		return err
	}
	props, err := format(d.Dir, 1)
	if err != nil {
		return errors.Join(err, h.Close())
	}
	seed, err := randomSeed()
	if err != nil {
		return errors.Join(err, h.Close())
	}
	name, _, err := net.SplitHostPort(d.Address)
	if err != nil {
		return errors.Join(fmt.Errorf("client listener: %w", err), h.Close())
	}
	node := broker.New(broker.Config{
		NodeID: props.NodeID, ClusterID: props.ClusterID, IsBroker: true, IsController: true,
		Listeners: listener.Plain(name, port(client)), Broker: settings, Overrides: overrides, Seed: seed,
		Voters: []controller.Voter{{ID: props.NodeID, Host: "127.0.0.1", Port: port(quorum)}},
	})
	announced := make(chan struct{})
	watching, ended := context.WithCancel(ctx)
	go func() {
		defer close(announced)
		if awaitReady(watching, h, node) {
			ready(net.JoinHostPort(name, strconv.Itoa(int(port(client)))))
		}
	}()
	err = h.Run(ctx, node)
	ended()
	<-announced
	return err
}

// readyPoll is how often a starting node is asked whether it is ready.
const readyPoll = 10 * time.Millisecond

// awaitReady waits until the node does what it is for; false if it ends before.
func awaitReady(ctx context.Context, h *host.Host, node *broker.Node) bool {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		ready := false
		if err := h.View(ctx, func() { ready = node.Ready() }); err != nil {
			return false
		}
		if ready {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-poll.C:
		}
	}
}

func port(l net.Listener) int32 { return int32(l.Addr().(*net.TCPAddr).Port) }

func has(list []config.KV, name string) bool {
	for _, kv := range list {
		if kv.Name == name {
			return true
		}
	}
	return false
}

func randomSeed() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a seed: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
