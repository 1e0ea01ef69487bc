package real

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
)

// node is one brokerd process of the cluster.
type node struct {
	scenarios.Node
	address string   // of its proxy, which everybody uses
	backend string   // its own
	config  string   // its configuration file
	disk    string   // the directory that it writes to
	lines   []string // what that says
	log     *os.File

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	boots  int
	stands int  // how many faults want it to stand still
	ending bool // it was told to end, or the run is over: nobody starts it again
	gone   bool // it has been decommissioned: not even what heals does
}

// cluster is every process of a scenario.
type cluster struct {
	brokerd string
	dir     string
	net     *network
	nodes   []*node
}

// clusterID is a Kafka UUID; any will do, since the data is new.
const clusterID = "d2luZHR1bm5lbC1yZWFsMA"

func newCluster(s *scenarios.Scenario, brokerd, dir string, n *network) (*cluster, error) {
	c := &cluster{brokerd: brokerd, dir: dir, net: n}
	for _, info := range s.Cluster.Nodes() {
		backend, err := freeAddress()
		if err != nil {
			return nil, err
		}
		one := &node{Node: info, backend: backend, config: filepath.Join(dir, info.Name+".properties"), disk: filepath.Join(dir, info.Name)}
		if one.address, err = n.serve(partyOf(info), backend); err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, one)
	}
	for _, one := range c.nodes {
		if err := c.configure(s, one); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// partyOf is what the proxies know a node by: the client id of its requests.
func partyOf(n scenarios.Node) string { return fmt.Sprintf("broker-%d", n.ID) }

// freeAddress finds a port that is free now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }() // it only held the port
	return l.Addr().String(), nil
}

// configure writes the properties of a node: those of the scenario, and where it
// is.
func (c *cluster) configure(s *scenarios.Scenario, one *node) error {
	var voters []string
	for _, n := range c.nodes {
		if n.Controller {
			voters = append(voters, fmt.Sprintf("%d@%s", n.ID, n.address))
		}
	}
	role, name := "broker", "PLAINTEXT"
	if one.Controller {
		role, name = "controller", "CONTROLLER"
	}
	one.lines = []string{
		fmt.Sprintf("node.id=%d", one.ID), "process.roles=" + role,
		"controller.quorum.voters=" + strings.Join(voters, ","), "controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"listeners=" + name + "://" + one.backend,
		"log.dirs=" + one.disk,
	}
	if !one.Controller {
		one.lines = append(one.lines, "advertised.listeners="+name+"://"+one.address, "broker.rack="+one.Zone)
	}
	for _, kv := range s.Cluster.Brokers.Config {
		one.lines = append(one.lines, kv.Name+"="+kv.Value)
	}
	var err error
	if one.log, err = os.Create(filepath.Join(c.dir, one.Name+".log")); err != nil {
		return fmt.Errorf("create the log of %s: %w", one.Name, err)
	}
	return one.write()
}

// write writes the node's configuration file, with more properties perhaps.
func (one *node) write(more ...string) error {
	text := strings.Join(append(slices.Clip(one.lines), more...), "\n") + "\n"
	if err := os.WriteFile(one.config, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", one.Name, err)
	}
	return nil
}

// start boots a node.
func (c *cluster) start(one *node) error {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.gone {
		return nil
	}
	one.ending = false
	return c.boot(one)
}

// restart boots a node that has ended by itself, as a supervisor does and the
// simulator too.
func (c *cluster) restart(one *node) {
	one.mu.Lock()
	defer one.mu.Unlock()
	if !one.ending {
		_ = c.boot(one) // if that fails, its log and the verdict show it
	}
}

// boot begins a process if there is none. The caller holds the node's lock.
func (c *cluster) boot(one *node) error {
	if one.cmd != nil {
		return nil
	}
	cmd := exec.Command(c.brokerd, "--config", one.config, "--cluster-id", clusterID)
	cmd.Stdout, cmd.Stderr = one.log, one.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", one.Name, err)
	}
	exited := make(chan struct{})
	one.cmd, one.exited = cmd, exited
	one.boots++
	if one.stands > 0 {
		_ = cmd.Process.Signal(syscall.SIGSTOP) // likewise
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		one.mu.Lock()
		if one.cmd == cmd {
			one.cmd = nil
		}
		halted := !one.ending
		one.mu.Unlock()
		close(exited)
		if halted {
			time.AfterFunc(runner.RestartAfterExit, func() { c.restart(one) })
		}
	}()
	return nil
}

// end tells a process to end: nobody starts it again by itself.
func (one *node) end(s syscall.Signal) {
	one.mu.Lock()
	one.ending = true
	one.mu.Unlock()
	one.signal(s)
}

func (one *node) signal(s syscall.Signal) (running bool) {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.cmd != nil && one.cmd.Process.Signal(s) == nil
}

// stand begins (by 1) or ends (by -1) one of the reasons for which the process stands
// still, also for one that starts meanwhile.
func (one *node) stand(by int) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.stands += by
	if one.cmd == nil {
		return
	}
	stop := syscall.SIGCONT
	if one.stands > 0 {
		stop = syscall.SIGSTOP
	}
	_ = one.cmd.Process.Signal(stop) // if it has ended there is nothing to stop
}

// wait returns when the process has ended.
func (one *node) wait(ctx context.Context) error {
	one.mu.Lock()
	exited := one.exited
	one.mu.Unlock()
	if exited == nil {
		return nil
	}
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has not ended: %w", one.Name, ctx.Err())
	}
}

// running tells whether the process lives.
func (one *node) running() bool {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.cmd != nil
}

func (one *node) kill() { one.end(syscall.SIGKILL) }

// brokers are the nodes that hold data and belong to the cluster now.
func (c *cluster) brokers() []*node {
	return slices.DeleteFunc(c.members(), func(n *node) bool { return n.Controller })
}

// seeds are the brokers that were there at the start, from which clients learn of
// the others.
func (c *cluster) seeds() (out []string) {
	for _, n := range c.nodes {
		if !n.Controller && atStart(n.Node) {
			out = append(out, n.address)
		}
	}
	return out
}

// startAll boots every node that is there from the start, controllers first.
func (c *cluster) startAll() error {
	for _, controllers := range []bool{true, false} {
		for _, n := range c.nodes {
			if n.Controller == controllers && atStart(n.Node) {
				if err := c.start(n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// stopGrace is how long processes may take to stop at the end.
const stopGrace = 10 * time.Second

// close ends every process.
func (c *cluster) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	for _, n := range c.nodes {
		n.signal(syscall.SIGCONT)
		n.kill()
	}
	for _, n := range c.nodes {
		_ = n.wait(ctx)
		_ = n.log.Close()
	}
}

// lastWords are the last lines of a node's log, for an error.
func (c *cluster) lastWords() string {
	var out []string
	for _, n := range c.nodes {
		text, err := os.ReadFile(n.log.Name())
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		out = append(out, n.Name+": "+lines[len(lines)-1])
	}
	return strings.Join(out, "\n")
}

// FindBrokerd finds the brokerd to run: the one that was named, or beside this
// program, or in bin/, or on the PATH.
func FindBrokerd(named string) (string, error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("--brokerd: %w", err)
		}
		return filepath.Abs(named)
	}
	candidates := []string{filepath.Join("bin", "brokerd")}
	if self, err := os.Executable(); err == nil {
		candidates = append([]string{filepath.Join(filepath.Dir(self), "brokerd")}, candidates...)
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			return filepath.Abs(path)
		}
	}
	if path, err := exec.LookPath("brokerd"); err == nil {
		return filepath.Abs(path)
	}
	return "", errors.New("--real needs brokerd: build it with `make build`, or name it with --brokerd PATH")
}
