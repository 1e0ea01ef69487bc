package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/logdirs"
)

const importHelp = `import puts the logs of topics from one data directory in place of the empty ones
in another. Each may be brokerd's or Apache Kafka's; neither node may run. The
topics must exist where they are imported, empty and with as many partitions;
what they are configured with there counts. Records keep their offsets and
timestamps; who produced them, and in which leader epoch, is forgotten. The copy is
checked as it is made.

For a topic with several replicas, import the same directory into each node that
has one before any of them is started.`

func (a *App) importCommand() *cobra.Command {
	var i logdirs.Import
	cmd := &cobra.Command{
		Use:   "import --from DIRECTORY --into DIRECTORY TOPIC...",
		Short: "Import topics from another data directory, also from Apache Kafka's",
		Long:  importHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, topics []string) error {
			i.Topics = topics
			return i.Run(func(done logdirs.Imported) {
				// Whoever reads this learns nothing if it cannot be written.
				_, _ = fmt.Fprintf(a.Stdout, "%s offsets %d to %d, %d segments, %d bytes\n",
					done.Partition, done.Start, done.End, done.Segments, done.Bytes)
				if done.Cut != "" {
					_, _ = fmt.Fprintf(a.Stderr, "brokerd: the log of %s ends at offset %d: %s\n", done.Partition, done.End, done.Cut)
				}
			})
		},
	}
	cmd.Flags().StringVar(&i.From, "from", "", "data `directory` that has the logs")
	cmd.Flags().StringVar(&i.Into, "into", "", "data `directory` of a node whose topics are empty")
	for _, flag := range []string{"from", "into"} {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag has just been made
		}
	}
	return cmd
}
