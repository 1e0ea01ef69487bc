package cli

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/spf13/cobra"
)

func (a *App) validateCommand() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check scenario files without running them",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which scenario? Give files or names of simrun list")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range args {
				if _, err := load(name); err != nil {
					a.complain(err)
					a.status = exitInput
				} else if !quiet {
					a.print("%s: valid\n", name)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing about valid files")
	return cmd
}

func (a *App) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the scenarios that come with the program",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			table := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
			for _, name := range scenarios.Shipped() {
				text, err := scenarios.ReadShipped(name)
				if err != nil {
					return err
				}
				s, err := scenarios.Load(text, name)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(table, "%s\t%s\n", name, s.Description); err != nil {
					return err
				}
			}
			return table.Flush()
		},
	}
}

func (a *App) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of scenario files, for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := a.Stdout.Write(scenarios.Schema())
			return err
		},
	}
}
