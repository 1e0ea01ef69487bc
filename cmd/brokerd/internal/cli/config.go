package cli

import (
	"fmt"
	"strings"

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
			for _, table := range [][]*config.Property{config.NodeProperties(), config.TLSProperties(), config.SASLProperties(), config.BrokerProperties()} {
				for _, p := range table {
					if !p.Effect || !strings.Contains(strings.ToLower(p.Name+" "+p.Doc), word) {
						continue
					}
					found++
					value := p.Default
					if p.Null || value == "" {
						value = "" // not set
					}
					line := p.Name + "=" + value
					if bounds := p.Bounds(); bounds != "" {
						line += "  (" + bounds + ")"
					}
					if _, err := fmt.Fprintf(a.Stdout, "%s\n    %s\n", line, p.Doc); err != nil {
						return err
					}
				}
			}
			if found == 0 {
				return fmt.Errorf("no property has %q in its name or meaning", word)
			}
			return nil
		},
	}
}
