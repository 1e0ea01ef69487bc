package cli

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/spf13/cobra"
)

// exactly wants the named arguments, no more and no fewer.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return wantedArguments(cmd, args, strings.Join(names, " "))
	}
}

// atLeastOne wants one or more of what is named.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return wantedArguments(cmd, args, name+"...")
	}
}

func wantedArguments(cmd *cobra.Command, args []string, wanted string) error {
	path := strings.TrimPrefix(cmd.CommandPath(), "brokerctl ")
	if wanted == "" {
		return problem.Input("%s takes no argument, and %q was given", path, args[0])
	}
	return problem.Input("%s wants %s, and %s given; %s --help shows how", path, wanted, wereGiven(len(args)), cmd.CommandPath())
}

func wereGiven(n int) string {
	switch n {
	case 0:
		return "nothing was"
	case 1:
		return "one was"
	}
	return fmt.Sprintf("%d were", n)
}

// keyValues reads words such as retention.ms=1000 in their order.
func keyValues(flag string, words []string) ([][2]string, error) {
	out := make([][2]string, 0, len(words))
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || key == "" {
			return nil, problem.Input("%s %q: write key=value", flag, word)
		}
		out = append(out, [2]string{key, value})
	}
	return out, nil
}

// partitionsMax bounds a list of partitions, as Kafka clusters are.
const partitionsMax = 1_000_000

// partitionNumbers reads numbers and ranges such as 0,3,5-7.
func partitionNumbers(text string) ([]int32, error) {
	var out []int32
	for word := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(word), "-")
		if !ranged {
			high = low
		}
		from, err := strconv.ParseInt(low, 10, 32)
		to, toErr := strconv.ParseInt(high, 10, 32)
		if err != nil || toErr != nil || from < 0 || to < from || to-from >= partitionsMax || len(out) > partitionsMax {
			return nil, problem.Input("%q is no list of partitions; write it like 0,3,5-7", text)
		}
		for p := from; p <= to; p++ {
			out = append(out, int32(p))
		}
	}
	return out, nil
}

// confirmation is the name that must be repeated before something is destroyed.
type confirmation struct{ names []string }

func (c *confirmation) addTo(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&c.names, "confirm", nil, "repeat the `name` of what is destroyed, once for each")
}

// demand wants every name repeated, by the flag or, where somebody sits at a
// terminal, by typing it.
func (c *confirmation) demand(a *App, action string, names []string) error {
	given := map[string]bool{}
	for _, name := range c.names {
		given[name] = true
	}
	for _, name := range names {
		if given[name] {
			continue
		}
		if len(c.names) > 0 {
			return problem.Input("%s %q: --confirm says %q; it must repeat the name", action, name, strings.Join(c.names, ","))
		}
		if !a.Terminal {
			return problem.Input("%s %q cannot be undone; add --confirm %s", action, name, name)
		}
		a.note("%s %q cannot be undone. Type its name to go on:", action, name)
		line, err := bufio.NewReader(a.Stdin).ReadString('\n')
		if strings.TrimSpace(line) != name {
			return problem.Input("%s %q: not confirmed (%v); nothing was done", action, name, readOutcome(err))
		}
	}
	return nil
}

func readOutcome(err error) string {
	if err != nil {
		return "nothing was typed"
	}
	return "another name was typed"
}

// sortBy sorts by a name.
func sortBy[T any](rows []T, name func(T) string) {
	slices.SortFunc(rows, func(a, b T) int { return strings.Compare(name(a), name(b)) })
}
