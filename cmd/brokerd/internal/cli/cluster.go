package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/server"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/settings"
)

// A cluster on one machine is a process for each node: a node can then be
// killed, paused and looked at as in production, and each has its own memory
// and its own core.

// clusterFlags are those of dev-cluster.
type clusterFlags struct {
	nodes, zones int
	data         string
	basePort     int
	overrides    []string
	restart      bool
}

const nodesMax = 26

func (a *App) devClusterCommand() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "dev-cluster",
		Short: "Run a cluster on this machine, a process for each node",
		Long: `dev-cluster starts a cluster on this machine and prints its bootstrap servers.

Each node is a process with a configuration of its own in DIR/node-N, and can be
killed, paused and started again with brokerd --config. Ports are free ones, or
those from --base-port on, and are kept in DIR, so that a cluster that is started
again is the same. Ctrl-C stops all nodes.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.devCluster(&f) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.nodes, "nodes", 3, "how many nodes; the first three are controllers too")
	flags.IntVar(&f.zones, "zones", 3, "how many zones (broker.rack a, b, c, ...) they are in")
	flags.StringVar(&f.data, "data", filepath.Join("data", "cluster"), "`directory` of configurations, logs and data")
	flags.IntVar(&f.basePort, "base-port", 0, "first of two `ports` for each node; 0 takes free ones")
	flags.StringArrayVar(&f.overrides, "override", nil, "set a property on every node: `key=value`; may be repeated")
	flags.BoolVar(&f.restart, "restart", false, "start a node again that has ended by itself or was killed")
	return cmd
}

// member is one node of the cluster.
type member struct {
	id      int
	zone    string
	dir     string
	client  int // port
	quorum  int // port; 0 of a node that is no controller
	process *exec.Cmd
	ended   bool // the process is no more
}

func (m *member) name() string   { return fmt.Sprintf("node-%d", m.id) }
func (m *member) config() string { return filepath.Join(m.dir, "server.properties") }
func (m *member) address() string {
	return net.JoinHostPort("localhost", strconv.Itoa(m.client))
}

func (a *App) devCluster(f *clusterFlags) error {
	if f.nodes < 1 || f.nodes > nodesMax || f.zones < 1 || f.zones > f.nodes {
		return fmt.Errorf("--nodes %d --zones %d: want 1 to %d nodes, and 1 to as many zones", f.nodes, f.zones, nodesMax)
	}
	extra, err := settings.Flags(f.overrides)
	if err != nil {
		return err
	}
	members, clusterID, err := a.prepare(f, extra)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	c := &cluster{app: a, members: members, id: clusterID, restart: f.restart, ends: make(chan ended, len(members)), up: make(chan *member, len(members))}
	return c.run(signals)
}

// prepare writes a configuration for each node that has none.
func (a *App) prepare(f *clusterFlags, extra []settings.Given) (members []*member, clusterID string, err error) {
	idFile := filepath.Join(f.data, "cluster.id")
	if data, err := os.ReadFile(idFile); err == nil {
		members, err := existing(f)
		if err == nil && len(extra) > 0 {
			err = fmt.Errorf("%s is there already: change server.properties of each node in it, or remove it", f.data)
		}
		return members, strings.TrimSpace(string(data)), err
	}
	for i := range f.nodes {
		m := &member{id: i + 1, zone: string(rune('a' + i%f.zones)), dir: filepath.Join(f.data, fmt.Sprintf("node-%d", i+1))}
		members = append(members, m)
	}
	if err := choosePorts(members, f.basePort); err != nil {
		return nil, "", err
	}
	var voters []string
	for _, m := range members {
		if m.quorum != 0 {
			voters = append(voters, fmt.Sprintf("%d@localhost:%d", m.id, m.quorum))
		}
	}
	for _, m := range members {
		if err := m.write(len(members), strings.Join(voters, ","), extra); err != nil {
			return nil, "", fmt.Errorf("configure %s: %w", m.name(), err)
		}
	}
	if clusterID, err = server.NewClusterID(); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(idFile, []byte(clusterID+"\n"), 0o644); err != nil {
		return nil, "", fmt.Errorf("keep the cluster's id: %w", err)
	}
	return members, clusterID, nil
}

// existing finds the nodes of a cluster that has been run before.
func existing(f *clusterFlags) (members []*member, err error) {
	for id := 1; id <= nodesMax; id++ {
		m := &member{id: id, dir: filepath.Join(f.data, fmt.Sprintf("node-%d", id))}
		given, err := settings.File(m.config())
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, g := range given {
			switch g.Name {
			case "broker.rack":
				m.zone = g.Value
			case "listeners":
				_, port, _ := strings.Cut(strings.Split(g.Value, ",")[0], "://localhost:")
				m.client, _ = strconv.Atoi(port) // only shown
			}
		}
		members = append(members, m)
	}
	if len(members) != f.nodes {
		return nil, fmt.Errorf("%s has a cluster of %d nodes: give --nodes %d, or another --data", f.data, len(members), len(members))
	}
	return members, nil
}

// choosePorts takes free ports. They are only known to be free now.
func choosePorts(members []*member, base int) error {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close() // the nodes bind them next
		}
	}()
	next := func() (int, error) {
		port := 0
		if base != 0 {
			port = base + len(held)
		}
		l, err := net.Listen("tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
		if err != nil {
			return 0, fmt.Errorf("choose a port: %w", err)
		}
		held = append(held, l)
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	var err error
	for _, m := range members {
		if m.client, err = next(); err != nil {
			return err
		}
	}
	for _, m := range members[:min(len(members), controllersMax)] {
		if m.quorum, err = next(); err != nil {
			return err
		}
	}
	return nil
}

// write makes the node's directory and configuration.
func (m *member) write(nodes int, voters string, extra []settings.Given) error {
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	data, err := filepath.Abs(filepath.Join(m.dir, "data"))
	if err != nil {
		return err
	}
	roles, listeners := "broker", "PLAINTEXT://"+m.address()
	if m.quorum != 0 {
		roles += ",controller"
		listeners += fmt.Sprintf(",CONTROLLER://localhost:%d", m.quorum)
	}
	pairs := append([]string{
		"node.id", strconv.Itoa(m.id), "process.roles", roles, "broker.rack", m.zone, "listeners", listeners,
		"controller.quorum.voters", voters, "log.dirs", data,
	}, clusterDefaults(nodes)...)
	for _, g := range extra {
		pairs = override(pairs, g.Name, g.Value)
	}
	var text strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&text, "%s=%s\n", pairs[i], strings.ReplaceAll(pairs[i+1], `\`, `\\`))
	}
	return os.WriteFile(m.config(), []byte(text.String()), 0o644)
}

func override(pairs []string, name, value string) []string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == name {
			pairs[i+1] = value
			return pairs
		}
	}
	return append(pairs, name, value)
}
