package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/connect"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// update writes the reference again instead of comparing it.
var update = flag.Bool("update", false, "write docs/brokerctl.md")

const referencePath = "../../../../docs/brokerctl.md"

// The reference is the walk and then every command as the program itself
// describes it; it is stale when the file differs.
func TestReferenceDocs(t *testing.T) {
	want, err := reference()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(referencePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/brokerctl.md is stale; make docs writes it again: %s", diff)
	}
}

func reference() (string, error) {
	walk, err := os.ReadFile("walkthrough.md")
	if err != nil {
		return "", err
	}
	app := &App{}
	root := app.Root()
	var out strings.Builder
	out.Write(walk)
	out.WriteString("## Connection\n\nFlags are stronger than variables, and those than the profile. In a profile the keys are the\nnames of the flags without the leading dashes.\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n")
	for _, s := range connect.Settings {
		fmt.Fprintf(&out, "| `--%s` | `%s` | %s | %s |\n", s.Name, s.Env, s.Default, strings.ReplaceAll(s.Doc, "`", ""))
	}
	fmt.Fprintf(&out, "| `--profile` | `BROKERCTL_PROFILE` | the current one | name of the connection to use |\n")
	fmt.Fprintf(&out, "\n## Exit status\n\n```text\n%s\n```\n", root.Long[strings.Index(root.Long, "Exit status:")+len("Exit status:\n"):])
	out.WriteString("\n## Commands\n")
	describeCommands(&out, app, root)
	return out.String(), nil
}

func describeCommands(out *strings.Builder, app *App, parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		if !cmd.IsAvailableCommand() || cmd.Name() == "help" {
			continue
		}
		if cmd.HasAvailableSubCommands() {
			describeCommands(out, app, cmd)
			continue
		}
		describeCommand(out, app, cmd)
	}
}

func describeCommand(out *strings.Builder, app *App, cmd *cobra.Command) {
	fmt.Fprintf(out, "\n### %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(out, "```text\n%s\n\n%s", text, cmd.UseLine())
	flags := cmd.NonInheritedFlags()
	flags.VisitAll(func(f *pflag.Flag) { f.Hidden = f.Hidden || f.Name == "help" })
	if usage := strings.TrimRight(flags.FlagUsages(), "\n"); usage != "" {
		fmt.Fprintf(out, "\n\n%s", usage)
	}
	out.WriteString("\n```\n")
	if cmd.Example != "" {
		fmt.Fprintf(out, "\n```sh\n%s\n```\n", strings.ReplaceAll("\n"+cmd.Example, "\n  ", "\n")[1:])
	}
	view := app.views[cmd.CommandPath()]
	if view == nil {
		return
	}
	out.WriteString("\n| key | type | meaning |\n|---|---|---|\n")
	for _, field := range show.Reference(view) {
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", field.Path, field.Type, field.Doc)
	}
}

// Every key of every view is documented, and no command of the tree lacks a
// shape for its JSON unless it prints none.
func TestEveryKeyHasAMeaning(t *testing.T) {
	app := &App{}
	root := app.Root()
	for path, view := range app.views {
		cmd, _, err := root.Find(strings.Fields(path)[1:])
		if err != nil || cmd.CommandPath() != path {
			t.Errorf("a shape for %s, which is no command", path)
		}
		for _, field := range show.Reference(view) {
			if field.Doc == "" {
				t.Errorf("%s: %s has no doc", path, field.Path)
			}
		}
	}
	silent := map[string]bool{"brokerctl profile create": true, "brokerctl profile use": true, "brokerctl profile delete": true}
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			check(child)
		}
		if !cmd.HasSubCommands() && app.views[cmd.CommandPath()] == nil && !silent[cmd.CommandPath()] {
			t.Errorf("%s has no shape for its JSON", cmd.CommandPath())
		}
	}
	check(root)
}
