package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

func (a *App) configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config [WORD]",
		Short: "List the properties, all or those with WORD in name or meaning",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			word := strings.ToLower(strings.Join(args, ""))
			found := 0
			w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
			for _, table := range [][]*config.Property{config.NodeProperties(), config.TLSProperties(), config.SASLProperties(), config.BrokerProperties()} {
				for _, p := range table {
					if !p.Effect || !strings.Contains(strings.ToLower(p.Name+" "+p.Doc), word) {
						continue
					}
					found++
					value := p.Default
					if p.Null || value == "" {
						value = "unset"
					}
					if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n\t%s\t\n", p.Name, value, p.Bounds(), p.Doc); err != nil {
						return err
					}
				}
			}
			if found == 0 {
				return fmt.Errorf("no property has %q in its name or meaning", word)
			}
			return w.Flush()
		},
	}
}
