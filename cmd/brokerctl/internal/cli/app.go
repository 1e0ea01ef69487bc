// Package cli owns brokerctl's command line: one file for each group of
// commands. A command asks the cluster, fills a view and shows it; it never
// formats by itself, and it never prints an error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/connect"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/profile"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// App is the program with what it needs from outside.
type App struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Env            func(name string) string
	ConfigDir      func() (string, error)
	Now            func() time.Time
	// Terminal says that somebody is there to be asked.
	Terminal bool

	format  formatFlag
	profile string
	// views are the shapes of the commands' JSON by command path, for the reference.
	views map[string]reflect.Type
}

// Main is the program: it returns the exit status for the arguments.
func (a *App) Main(ctx context.Context, args []string) int {
	root := a.Root()
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return int(problem.StatusDone)
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
		_, _ = fmt.Fprintf(a.Stderr, "brokerctl: %v\n", err)
		return int(problem.StatusInterrupted)
	}
	if !errors.Is(err, errSaid) {
		// If stderr is closed there is nobody left to be told.
		_, _ = fmt.Fprintf(a.Stderr, "brokerctl: %v\n", err)
	}
	return int(problem.StatusOf(err))
}

// errSaid is the reason of an exit status that the output has already explained.
var errSaid = errors.New("already said")

const longHelp = `brokerctl looks after a Kafka cluster from a shell: topics, records, consumer
groups, ACLs, users, reassignments, configuration. It speaks the Kafka protocol
and works with any Kafka cluster.

A connection is given by flags, by environment variables or by a profile, in
this order: brokerctl --brokers a:9092, BROKERCTL_BROKERS=a:9092, or
brokerctl profile create NAME --brokers a:9092.

Exit status:
  0    done
  1    the cluster said no, or cluster health found something
  2    a flag, an argument, a file or a profile is wrong
  3    no broker could be reached, or none answered in time
  4    a topic, group or user that was named does not exist
  130  interrupted`

// Root is the tree of commands.
func (a *App) Root() *cobra.Command {
	a.views = map[string]reflect.Type{}
	a.format = formatFlag(show.FormatText)
	root := &cobra.Command{
		Use:           "brokerctl",
		Short:         "Look after a Kafka cluster",
		Long:          longHelp,
		Example:       "  brokerctl cluster info\n  brokerctl topic create orders --partitions 6 --retention 36h\n  echo hello | brokerctl produce orders\n  brokerctl consume orders --offset start -n 1",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          helpOrUnknown,
	}
	flags := root.PersistentFlags()
	flags.SortFlags = false
	root.Flags().SortFlags = false
	for _, s := range connect.Settings {
		if s.Bool {
			flags.BoolP(s.Name, s.Short, false, s.Doc+" ("+s.Env+")")
		} else {
			flags.StringP(s.Name, s.Short, s.Default, s.Doc+" ("+s.Env+")")
		}
	}
	flags.StringVar(&a.profile, "profile", "", "`name` of the connection to use instead of the current one (BROKERCTL_PROFILE)")
	flags.Var(&a.format, "format", "how to print: text, wide (all columns), json or yaml")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return problem.Input("%w; %s --help lists the flags", err, cmd.CommandPath())
	})
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.AddCommand(a.clusterCommand(), a.topicCommand(), a.produceCommand(), a.consumeCommand(), a.groupCommand(),
		a.aclCommand(), a.userCommand(), a.configCommand(), a.reassignCommand(), a.logDirsCommand(), a.profileCommand())
	for _, s := range connect.Settings {
		if s.Words != nil {
			completeFlag(root, s.Name, words(s.Words...))
		}
	}
	completeFlag(root, "format", words(show.Formats()...))
	completeFlag(root, "profile", a.completeProfiles)
	return root
}

// usageTemplate leaves the flags of every command to the help of the root:
// sixteen lines of connection hide the three that matter.
func usageTemplate(template string) string {
	const inherited = "{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}"
	return strings.Replace(template, inherited, "  brokerctl --help lists those of every command: connection, --profile, --format", 1)
}

// formatFlag is a format that every command knows.
type formatFlag show.Format

func (f *formatFlag) Type() string   { return "format" }
func (f *formatFlag) String() string { return string(*f) }

func (f *formatFlag) Set(text string) error {
	// tail is consume's own, which refuses nothing else.
	known := append(show.Formats(), formatTail)
	for _, word := range known {
		if text == word {
			*f = formatFlag(text)
			return nil
		}
	}
	return fmt.Errorf("it is %s", strings.Join(known, ", "))
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		RunE: helpOrUnknown,
	}
	cmd.AddCommand(children...)
	return cmd
}

// helpOrUnknown is the body of a command that only holds others.
func helpOrUnknown(parent *cobra.Command, args []string) error {
	if len(args) == 0 {
		return parent.Help()
	}
	var names []string
	for _, child := range parent.Commands() {
		names = append(names, child.Name())
	}
	return problem.Input("unknown command %q%s", args[0], nearestOf(args[0], names, parent.CommandPath()+" --help lists them"))
}

// nearestOf is the end of an error about an unknown word: what was meant, or
// else where to look.
func nearestOf(word string, known []string, otherwise string) string {
	if near := config.Nearest(word, known); near != "" {
		return fmt.Sprintf("; nearest is %q", near)
	}
	return "; " + otherwise
}

// session is one command's conversation with a cluster.
type session struct {
	*App
	ctx    context.Context
	client *connect.Client
	admin  *kadm.Client
}

// settings resolves the connection that the flags, the environment and the
// profiles describe.
func (a *App) settings(cmd *cobra.Command) (connect.Values, error) {
	from := connect.Sources{Env: a.Env, Flag: flagReader(cmd), ProfileName: a.profile}
	if from.ProfileName == "" {
		from.ProfileName = a.Env("BROKERCTL_PROFILE")
	}
	store, err := a.profiles()
	if err != nil {
		return nil, err
	}
	if from.ProfileName == "" {
		from.ProfileName = store.Current
	}
	if from.ProfileName != "" {
		if from.Profile, err = store.Get(from.ProfileName); err != nil {
			return nil, err
		}
	}
	return connect.Resolve(from)
}

// flagReader finds the flags that were given.
func flagReader(cmd *cobra.Command) func(string) (string, bool) {
	return func(name string) (string, bool) {
		flag := cmd.Flags().Lookup(name)
		return flag.Value.String(), flag.Changed
	}
}

func (a *App) profiles() (*profile.Store, error) {
	directory, err := a.ConfigDir()
	if err != nil {
		return nil, problem.Input("find the directory of the profiles: %w", err)
	}
	return profile.Load(profile.Path(directory))
}

// connected is the body of a command that talks to a cluster. Whatever the
// client could not explain by itself is explained here.
func (a *App) connected(run func(s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.format == formatTail && cmd.Name() != "consume" {
			return problem.Input("--format tail is for consume only")
		}
		s, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer s.client.Close()
		return s.client.Explain(run(s, args))
	}
}

func (a *App) open(cmd *cobra.Command, more ...kgo.Opt) (*session, error) {
	values, err := a.settings(cmd)
	if err != nil {
		return nil, err
	}
	client, err := connect.Open(cmd.Context(), values, more...)
	if err != nil {
		return nil, err
	}
	s := &session{App: a, ctx: cmd.Context(), client: client, admin: kadm.NewClient(client.Client)}
	s.admin.SetTimeoutMillis(int32(client.Timeout().Milliseconds()))
	return s, nil
}

// show prints what a command found.
func (a *App) show(view show.View) error {
	return show.Print(a.Stdout, show.Format(a.format), view)
}

// note tells the user something that is no result.
func (a *App) note(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stderr, format+"\n", args...)
}

// shows registers the shape of a command's JSON for the reference.
func (a *App) shows(cmd *cobra.Command, path string, view any) *cobra.Command {
	a.views["brokerctl "+path] = reflect.TypeOf(view)
	return cmd
}

// limited bounds one request with all its retries.
func (s *session) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, s.client.Timeout())
}
