package cli

import (
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func (a *App) logDirsCommand() *cobra.Command {
	return group("log-dirs", "Look at the brokers' disks",
		a.shows(a.logDirsDescribeCommand(), "log-dirs describe", logDirs{}))
}

type replicaRow struct {
	Broker    int32      `json:"broker" head:"BROKER" doc:"id of the broker"`
	Topic     string     `json:"topic" head:"TOPIC" doc:"name of the topic"`
	Partition int32      `json:"partition" head:"PARTITION" doc:"number of the partition"`
	Size      show.Bytes `json:"size" head:"SIZE" doc:"bytes of its log"`
	Lag       int64      `json:"lag" head:"LAG" doc:"records that it is behind"`
	Future    bool       `json:"future" head:"MOVING" doc:"whether it is being moved to this directory"`
}

type logDir struct {
	Broker   int32        `json:"broker" head:"BROKER" doc:"id of the broker"`
	Path     string       `json:"path" head:"DIRECTORY" doc:"path of the directory"`
	Replicas int          `json:"replicas" head:"REPLICAS" doc:"how many replicas it has"`
	Size     show.Bytes   `json:"size" head:"SIZE" doc:"bytes of their logs"`
	Volume   *show.Volume `json:"volume" head:"VOLUME" doc:"bytes in use of the whole volume; null when the broker does not tell"`
	Problem  string       `json:"problem" head:"PROBLEM" wide:"yes" doc:"why it could not be described; empty when it could"`
}

type logDirs struct {
	Directories []logDir     `json:"directories" doc:"the directories by broker"`
	Replicas    []replicaRow `json:"replicas" doc:"the replicas in them; text shows them with --replicas"`
	Detailed    bool         `json:"-"`
}

func (v logDirs) Text(t *show.Text) {
	t.Table(v.Directories, "no directory")
	if v.Detailed {
		t.Gap()
		t.Table(v.Replicas, "no replica")
	}
}

func (a *App) logDirsDescribeCommand() *cobra.Command {
	var topics []string
	var brokers []int32
	var detailed bool
	cmd := &cobra.Command{
		Use: "describe", Short: "Show directories, volumes and sizes of replicas", Args: exactly(),
		Example: "  brokerctl log-dirs describe --replicas --topic orders",
		RunE: a.connected(func(s *session, _ []string) error {
			var only kadm.TopicsSet
			if len(topics) > 0 {
				details, err := s.lookupTopics(topics)
				if err != nil {
					return err
				}
				for _, d := range details {
					only.Merge(kadm.TopicDetails{d.Topic: d}.TopicsSet())
				}
			}
			described, err := s.admin.DescribeAllLogDirs(s.ctx, only)
			if err = partly(err); err != nil {
				return err
			}
			wanted := map[int32]bool{}
			for _, id := range brokers {
				wanted[id] = true
				if _, ok := described[id]; !ok {
					return problem.Missing("broker %d does not exist or does not answer; brokerctl cluster health says more", id)
				}
			}
			view := logDirs{Directories: []logDir{}, Replicas: []replicaRow{}, Detailed: detailed}
			for _, d := range described.Sorted() {
				if len(wanted) == 0 || wanted[d.Broker] {
					view.add(d)
				}
			}
			return s.show(view)
		}),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&detailed, "replicas", false, "list the replicas too")
	cmd.Flags().StringSliceVar(&topics, "topic", nil, "only replicas of these topics (`name,...`)")
	cmd.Flags().Int32SliceVar(&brokers, "broker", nil, "only these brokers (`id,...`)")
	completeFlag(cmd, "topic", a.completeTopics)
	return cmd
}

func (v *logDirs) add(d kadm.DescribedLogDir) {
	row := logDir{Broker: d.Broker, Path: d.Dir, Size: show.Bytes(d.Size())}
	if d.Err != nil {
		row.Problem = d.Err.Error()
	}
	if d.TotalBytes > 0 && d.UsableBytes >= 0 && d.UsableBytes <= d.TotalBytes {
		row.Volume = &show.Volume{Used: show.Bytes(d.TotalBytes - d.UsableBytes), Of: show.Bytes(d.TotalBytes)}
	}
	for _, p := range d.Topics.Sorted() {
		row.Replicas++
		v.Replicas = append(v.Replicas, replicaRow{p.Broker, p.Topic, p.Partition, show.Bytes(p.Size), p.OffsetLag, p.IsFuture})
	}
	v.Directories = append(v.Directories, row)
}
