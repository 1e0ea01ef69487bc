// Package cli owns brokerd's command line: what is asked for, where the settings
// come from, which signals mean what, and the exit status.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/host"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/logs"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/server"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/settings"
)

// Exit statuses.
const (
	exitStopped = 0 // a controlled shutdown
	exitHalted  = 1 // the node could not go on, or a shutdown was cut short
	exitInput   = 2 // settings or arguments that cannot be used
)

// App is the program with what it needs from outside.
type App struct {
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
	Program string // path of brokerd, to start the nodes of a cluster
}

// runFlags are those of a node.
type runFlags struct {
	dev       bool
	config    string
	overrides []string
	clusterID string
	data      string
	listen    string
	logFormat string
	logLevel  string
}

// Main is the program: it returns the exit status for the arguments.
func (a *App) Main(args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	err := root.Execute()
	if err == nil {
		return exitStopped
	}
	_, _ = fmt.Fprintln(a.Stderr, "brokerd:", err) // there is nobody left to tell
	if errors.Is(err, host.ErrHalted) || errors.Is(err, host.ErrForced) {
		return exitHalted
	}
	return exitInput
}

const longHelp = `brokerd is a Kafka-compatible broker.

  brokerd --dev                     one node on localhost:9092, data in ./data
  brokerd --config FILE             a node of a cluster
  brokerd dev-cluster               three nodes in three zones on this machine
  brokerd import                    topics of another data directory, also of Apache Kafka's

FILE has Kafka's own property names, as .properties or YAML. A variable
WINDTUNNEL_LOG_RETENTION_MS sets log.retention.ms, --override key=value sets any
property; the later of file, environment and flags counts. brokerd config lists
what there is.

SIGTERM and Ctrl-C ask for a controlled shutdown, a second one ends it at once.
SIGHUP reads certificates, tokens, their keys and windtunnel.log.dirs.max.bytes again. Exit status: 0 after a controlled shutdown, 1
if the node could not go on, 2 for settings that cannot be used.`

func (a *App) root() *cobra.Command {
	var f runFlags
	root := &cobra.Command{
		Use:           "brokerd --dev | --config FILE",
		Short:         "A Kafka-compatible broker",
		Long:          longHelp,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(&f)
		},
	}
	flags := root.Flags()
	flags.BoolVar(&f.dev, "dev", false, "one node, broker and controller, on localhost:9092 with its data in ./data")
	flags.StringVar(&f.config, "config", "", "read the properties of this `file`, .properties or .yaml")
	flags.StringArrayVar(&f.overrides, "override", nil, "set a property: `key=value`; may be repeated")
	flags.StringVar(&f.clusterID, "cluster-id", "", "the cluster's `id`, for a data directory that is new")
	flags.StringVar(&f.data, "data", "data", "data `directory` of --dev")
	flags.StringVar(&f.listen, "listen", "localhost:9092", "`host:port` of --dev")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json, on stderr")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(a.configCommand(), a.clusterIDCommand(), a.devClusterCommand(), a.importCommand())
	return root
}

func (a *App) clusterIDCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cluster-id", Short: "Draw an id for a new cluster", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			id, err := server.NewClusterID()
			if err == nil {
				_, err = fmt.Fprintln(a.Stdout, id)
			}
			return err
		},
	}
}

// logCloseTime is how long the end of the process waits for its last log lines to
// be taken.
const logCloseTime = 2 * time.Second

// run is a node from its settings to its end.
func (a *App) run(f *runFlags) error {
	var log *slog.Logger
	lines := logs.NewWriter(a.Stderr, func(lost uint64) { log.Warn("log lines were dropped: nobody took them", "lines", lost) })
	defer lines.Close(logCloseTime)
	log, err := logger(lines, f.logFormat, f.logLevel)
	if err != nil {
		return err
	}
	s, where, err := a.settings(f)
	if err != nil {
		return err
	}
	node, err := server.Open(server.Options{Settings: s, ClusterID: f.clusterID, Logger: log})
	if err != nil {
		return settings.Locate(err, where)
	}
	if address := node.AdminAddress(); address != "" {
		log.Info("metrics and health", "address", address)
		_, _ = fmt.Fprintf(a.Stdout, "admin.listener=%s\n", address) // for programs, as bootstrap.servers below
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	ended := make(chan struct{})
	defer close(ended)
	go a.attend(signals, ended, node, f, log)
	return node.Run(context.Background(), func() {
		log.Info("serving", "addresses", node.Addresses())
		// Whoever reads this learns nothing if it cannot be written.
		_, _ = fmt.Fprintf(a.Stdout, "bootstrap.servers=%s\n", strings.Join(node.Addresses(), ","))
	})
}

// attend does what signals ask for until the node has ended.
func (a *App) attend(signals <-chan os.Signal, ended <-chan struct{}, node *server.Server, f *runFlags, log *slog.Logger) {
	for {
		select {
		case <-ended:
			return
		case s := <-signals:
			if s != syscall.SIGHUP {
				log.Info("shutting down", "signal", s.String())
				node.Shutdown()
				continue
			}
			if err := a.reload(node, f); err != nil {
				log.Error("settings were not all read again; where not, the old ones stay", "cause", err)
				continue
			}
			log.Info("settings have been read again")
		}
	}
}

// reload reads the settings again, and has the node take what it can.
func (a *App) reload(node *server.Server, f *runFlags) error {
	s, _, err := a.settings(f)
	if err != nil {
		return err
	}
	return node.Reload(s)
}

// settings reads and checks all that was given, and says where.
func (a *App) settings(f *runFlags) (s *config.Settings, where map[string]string, err error) {
	sources, err := a.sources(f)
	if err != nil {
		return nil, nil, err
	}
	s, err = settings.Parse(sources...)
	return s, settings.Where(sources...), err
}

// sources are where the settings come from, the strongest last.
func (a *App) sources(f *runFlags) ([][]settings.Given, error) {
	var sources [][]settings.Given
	switch {
	case f.dev && f.config != "":
		return nil, errors.New("--dev and --config are two ways to start a node: give one")
	case f.dev:
		sources = append(sources, devDefaults(f.data, f.listen))
	case f.config != "":
		file, err := settings.File(f.config)
		if err != nil {
			return nil, err
		}
		sources = append(sources, file)
	default:
		return nil, errors.New("give --dev for one node on this machine or --config FILE for a node of a cluster; brokerd --help says more")
	}
	flags, err := settings.Flags(f.overrides)
	return append(sources, settings.Environment(a.Environ), flags), err
}

func logger(w io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %s: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("--log-format %s: want text or json", format)
}
