// Package cli owns simrun's command line: which runs are asked for, in which
// processes they happen, what is printed, and the exit status. It never judges
// a run, except that two processes with one seed must do the same.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/spf13/cobra"
)

// Exit statuses. Of several runs the worst counts: bad input, then failed, then
// inconclusive. An interrupted program exits as shells expect.
const (
	exitPass         = 0
	exitFail         = 1
	exitInput        = 2
	exitInconclusive = 3
	exitSignal       = 128 // plus the number of the signal
)

// Progress is shown in place on a terminal and as lines elsewhere.
const (
	progressTerminal = 100 * time.Millisecond
	progressLines    = 10 * time.Second
)

// App is the program with what it needs from outside.
type App struct {
	Engine Engine
	// World carries a scenario out for --real; nil is a program that cannot.
	World  World
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// ProgressEvery is the wall time between two lines of progress where stderr
	// is no terminal; 0 is ten seconds.
	ProgressEvery time.Duration

	color  bool // of stdout
	status int
	unsaid error // the first failure to write to stdout
	stop   *interrupt
}

// Main is the program: it returns the exit status for the arguments.
func (a *App) Main(args []string) int {
	a.color = isTerminal(a.Stdout) && os.Getenv("NO_COLOR") == ""
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	if err := root.Execute(); err != nil {
		a.complain(err)
		return exitInput
	}
	if a.unsaid != nil {
		a.complain(fmt.Errorf("print to stdout: %w", a.unsaid))
		return exitInput
	}
	return a.status
}

// print writes to stdout. A result that nobody could read is an error, which
// Main reports.
func (a *App) print(format string, args ...any) {
	if _, err := fmt.Fprintf(a.Stdout, format, args...); err != nil && a.unsaid == nil {
		a.unsaid = err
	}
}

// warn writes to stderr; if that fails there is nobody left to be told.
func (a *App) warn(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stderr, format, args...)
}

// errComplained says that everything about an error has been printed.
var errComplained = errors.New("already printed")

// complain prints an error. One in a scenario opens with file, line and column,
// which is where editors look for them.
func (a *App) complain(err error) {
	var inFile *scenarios.Error
	switch {
	case errors.Is(err, errComplained):
	case errors.As(err, &inFile):
		a.warn("%v\n", err)
	default:
		a.warn("simrun: %v\n", err)
	}
}

// commandNames are those that a user may mistype, which makes them look like files.
var commandNames = []string{"validate", "list", "schema", "replay", "help"}

const longHelp = `simrun runs scenarios against a deterministic Kafka cluster and judges them.

FILE is a scenario file, or the name of a scenario that comes with the program
(see simrun list). The same scenario and seed are the same run, everywhere.

Exit status: 0 every claim and threshold held, 1 one failed, 2 bad input,
3 inconclusive; of several runs the worst. After Ctrl-C 130: what was found so
far is printed and said to be partial; a second Ctrl-C ends at once.`

func (a *App) rootCommand() *cobra.Command {
	var f runFlags
	root := &cobra.Command{
		Use:           "simrun [flags] FILE...",
		Short:         "Run scenarios against a deterministic Kafka cluster",
		Long:          longHelp,
		Example:       "  simrun scenarios/zone-failure.yaml\n  simrun zone-failure --seed 0x2a --out report\n  simrun --runs 100 --format json scenarios/*.yaml",
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which scenario? Give a file or a name of simrun list; simrun --help says more")
			}
			return a.run(args, &f)
		},
	}
	f.addTo(root.Flags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(a.validateCommand(), a.listCommand(), a.schemaCommand(), a.replayCommand(), a.childCommand())
	return root
}
