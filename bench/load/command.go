package load

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// targetDefault is loaded when nothing else is named.
const targetDefault = "local=127.0.0.1:9092"

// flags of the command.
type flags struct {
	targets          []string
	driver           string
	repeats          int
	duration, warmup time.Duration
	pause            time.Duration
	rate             int
	out              string
	quiet            bool
}

// Scheme makes the target of a --target NAME=ADDRESS from its address, for
// systems that are not Kafka: the key is what the address begins with.
type Scheme map[string]func(name, address string, d *Driver) (Target, error)

// Command is the load generator's command line. Addresses that begin with one of
// the schemes are made by it, all others are Kafka's.
func Command(schemes Scheme) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "bench [flags] WORKLOAD.yaml...",
		Short: "Load a Kafka cluster with OpenMessaging Benchmark workloads and measure what its clients see",
		Long: `bench loads one or more clusters with OpenMessaging Benchmark workloads. Latency counts from the intended
send (an open model: a stall is not hidden), warm-up is left out, and every acknowledged record must be received.
With several targets the runs are interleaved, and a table compares the medians.

Exit status: 0 every record was sent when it was due and received, 1 one was not or a run failed, 2 bad input.`,
		Example: `  bench --target local=127.0.0.1:9092 bench/workloads/1-topic-100b-20k.yaml
  bench --target ours=127.0.0.1:9092 --target theirs=127.0.0.1:9192 --repeats 5 --out results bench/workloads/*.yaml`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, files []string) error {
			if len(files) == 0 {
				return badInput{errors.New("name at least one WORKLOAD.yaml; bench --help says more")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, files []string) error { return f.carryOut(cmd, files, schemes) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return badInput{err} })
	p := cmd.Flags()
	p.StringArrayVar(&f.targets, "target", nil, "NAME=HOST:PORT[,HOST:PORT]; several are compared; without one the driver's bootstrap.servers, or "+targetDefault)
	p.StringVar(&f.driver, "driver", "", "an OpenMessaging Benchmark driver file with the configuration of topics and clients")
	p.IntVar(&f.repeats, "repeats", 1, "how often each workload is run on each target, in turns")
	p.DurationVar(&f.duration, "duration", 0, "instead of the workload's testDurationMinutes")
	p.DurationVar(&f.warmup, "warmup", 0, "instead of the workload's warmupDurationMinutes")
	p.DurationVar(&f.pause, "pause", 0, "between two runs, for what the last one has left to be done")
	p.IntVar(&f.rate, "rate", 0, "messages a second instead of the workload's producerRate; 0 is as many as are acknowledged")
	p.StringVar(&f.out, "out", "", "a folder for the results: JSON of the OpenMessaging Benchmark, HdrHistogram logs, the table")
	p.BoolVar(&f.quiet, "quiet", false, "print the table only")
	return cmd
}

// badInput is an error that is the caller's, exit status 2.
type badInput struct{ error }

// Main runs the command and returns the exit status.
func Main(schemes Scheme) int {
	err := Command(schemes).Execute()
	var bad badInput
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

func (f *flags) carryOut(cmd *cobra.Command, files []string, schemes Scheme) error {
	c, err := f.campaign(files, schemes, cmd.Flags().Changed)
	if err != nil {
		return badInput{err}
	}
	c.Progress = cmd.ErrOrStderr()
	if f.quiet {
		c.Progress = io.Discard
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, err := c.Do(ctx)
	if len(results) > 0 {
		PrintTable(cmd.OutOrStdout(), results)
		err = errors.Join(err, c.writeTable(results))
	}
	for _, r := range results {
		if !r.OK() {
			err = errors.Join(err, fmt.Errorf("%s on %s, run %d: %s", r.Workload.Name, r.Target, r.Repeat, r.remark()))
		}
	}
	return err
}

func (f *flags) campaign(files []string, schemes Scheme, given func(flag string) bool) (*Campaign, error) {
	switch {
	case f.repeats < 1:
		return nil, fmt.Errorf("--repeats %d: must be at least 1", f.repeats)
	case given("duration") && f.duration <= 0:
		return nil, fmt.Errorf("--duration %v: must be above zero", f.duration)
	case f.warmup < 0:
		return nil, fmt.Errorf("--warmup %v: must not be below zero", f.warmup)
	case f.pause < 0:
		return nil, fmt.Errorf("--pause %v: must not be below zero", f.pause)
	case f.rate < 0:
		return nil, fmt.Errorf("--rate %d: must not be below zero", f.rate)
	}
	c := &Campaign{Repeats: f.repeats, Pause: f.pause, Out: f.out}
	driver, err := ReadDriver(f.driver)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		w, err := ReadWorkload(file)
		if err != nil {
			return nil, err
		}
		if given("duration") {
			w.TestDurationMinutes = f.duration.Minutes()
		}
		if given("warmup") {
			w.WarmupDurationMinutes = f.warmup.Minutes()
		}
		if given("rate") {
			w.ProducerRate = f.rate
		}
		c.Workloads = append(c.Workloads, w)
	}
	targets := f.targets
	if len(targets) == 0 {
		targets = []string{driver.target()}
	}
	seen := map[string]bool{}
	for _, text := range targets {
		name, address, ok := strings.Cut(text, "=")
		if !ok || name == "" || address == "" {
			return nil, fmt.Errorf("--target %s: is not NAME=HOST:PORT", text)
		}
		if seen[name] {
			return nil, fmt.Errorf("--target %s: there are two of that name", name)
		}
		seen[name] = true
		target, err := f.target(name, address, driver, schemes)
		if err != nil {
			return nil, fmt.Errorf("--target %s: %w", text, err)
		}
		c.Targets = append(c.Targets, target)
	}
	return c, nil
}

func (f *flags) target(name, address string, d *Driver, schemes Scheme) (Target, error) {
	for _, prefix := range sortedKeys(schemes) {
		if strings.HasPrefix(address, prefix) {
			return schemes[prefix](name, address, d)
		}
	}
	return NewKafka(name, strings.Split(address, ","), d)
}
