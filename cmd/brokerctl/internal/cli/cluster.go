package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kversion"
)

func (a *App) clusterCommand() *cobra.Command {
	return group("cluster", "Look at the cluster as a whole",
		a.shows(a.clusterInfoCommand(), "cluster info", clusterInfo{}),
		a.shows(a.clusterHealthCommand(), "cluster health", clusterHealth{}))
}

type brokerRow struct {
	ID         int32       `json:"id" head:"BROKER" doc:"id of the broker"`
	Host       string      `json:"host" head:"HOST" doc:"host that it advertises"`
	Port       int32       `json:"port" head:"PORT" doc:"port that it advertises"`
	Rack       *string     `json:"rack" head:"RACK" doc:"its rack or zone"`
	Leaders    show.Share  `json:"leaders" head:"LEADS" doc:"of how many partitions it is the leader, of all"`
	Replicas   int         `json:"replicas" head:"REPLICAS" wide:"yes" doc:"how many replicas it has"`
	Controller bool        `json:"controller" head:"CONTROLLER" wide:"yes" doc:"whether the cluster names it as controller"`
	Size       *show.Bytes `json:"size" head:"SIZE" wide:"yes" doc:"bytes of its logs; null when it does not tell"`
}

type clusterInfo struct {
	Cluster    string      `json:"clusterId" head:"Cluster" doc:"id of the cluster"`
	Status     string      `json:"status" head:"Status" doc:"healthy or unhealthy; brokerctl cluster health says why"`
	Version    string      `json:"version" head:"Version" doc:"what the APIs of the broker that answered look like"`
	Controller int32       `json:"controller" head:"Controller" doc:"id of the controller, -1 when there is none"`
	Topics     int         `json:"topics" head:"Topics" doc:"number of topics, internal ones not counted"`
	Partitions int         `json:"partitions" head:"Partitions" doc:"number of partitions, of internal topics too"`
	InSync     show.Share  `json:"inSync" head:"In sync" doc:"replicas in sync, of all replicas"`
	Messages   int64       `json:"messages" head:"Messages" doc:"sum of end minus start offsets of all partitions"`
	PerSecond  *int64      `json:"messagesPerSecond" head:"Messages/s" doc:"records written per second during --sample; null without it"`
	Size       *show.Bytes `json:"size" head:"Size" doc:"bytes of all replicas; null when no broker tells"`
	Brokers    []brokerRow `json:"brokers" doc:"the brokers by id"`
}

func (v clusterInfo) Text(t *show.Text) {
	t.Fields(v)
	t.Gap()
	t.Table(v.Brokers, "no broker")
}

// sampleFlag is how long to watch the end offsets.
type sampleFlag struct{ durationFlag }

func (f *sampleFlag) addTo(cmd *cobra.Command) {
	cmd.Flags().Var(f, "sample", "watch for so long, such as 2s, and tell the records per second")
}

// sampleMax keeps a sample something that one waits for.
const sampleMax = 10 * time.Minute

func (a *App) clusterInfoCommand() *cobra.Command {
	var sample sampleFlag
	cmd := &cobra.Command{
		Use: "info", Short: "Show brokers, topics, records and sizes", Args: exactly(),
		Example: "  brokerctl cluster info\n  brokerctl cluster info --sample 2s --format wide",
		RunE: a.connected(func(s *session, _ []string) error {
			view, err := s.clusterInfo(&sample)
			if err != nil {
				return err
			}
			return s.show(view)
		}),
	}
	sample.addTo(cmd)
	return cmd
}

func (s *session) clusterInfo(sample *sampleFlag) (*clusterInfo, error) {
	metadata, err := s.admin.Metadata(s.ctx)
	if err != nil {
		return nil, err
	}
	view := &clusterInfo{Cluster: metadata.Cluster, Controller: metadata.Controller, Status: "healthy", Brokers: []brokerRow{}}
	if view.Version, err = s.version(); err != nil {
		return nil, err
	}
	if findings := assess(metadata, nil); len(findings) > 0 {
		view.Status = fmt.Sprintf("unhealthy: %s", findings[0].Problem)
	}
	sizes := s.sizes()
	counts, rate, err := s.messages(metadata.Topics, sample)
	if err != nil {
		return nil, err
	}
	view.PerSecond = rate.total()
	view.Size = sizes.total()
	leaders, replicas := map[int32]int64{}, map[int32]int{}
	for _, topic := range metadata.Topics {
		if !topic.IsInternal {
			view.Topics++
		}
		view.Messages += counts[topic.Topic]
		for _, p := range topic.Partitions {
			view.Partitions++
			view.InSync.Count += int64(len(p.ISR))
			view.InSync.Of += int64(len(p.Replicas))
			leaders[p.Leader]++
			for _, id := range p.Replicas {
				replicas[id]++
			}
		}
	}
	for _, b := range metadata.Brokers {
		view.Brokers = append(view.Brokers, brokerRow{
			ID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack, Controller: b.NodeID == metadata.Controller,
			Leaders: show.Share{Count: leaders[b.NodeID], Of: int64(view.Partitions)}, Replicas: replicas[b.NodeID], Size: sizes.ofBroker(b.NodeID),
		})
	}
	return view, nil
}

// version guesses from the APIs of any broker what release it is like.
func (s *session) version() (string, error) {
	versions, err := s.admin.ApiVersions(s.ctx)
	if err != nil {
		return "", err
	}
	for _, v := range versions.Sorted() {
		if v.Err == nil {
			return versionText(v.VersionGuess(kversion.SkipKeys())), nil
		}
	}
	return "unknown", nil
}

// versionText turns a guess such as "v4.1" or "between v3.8 and v3.9" into words.
func versionText(guess string) string {
	if strings.Contains(guess, "unknown") {
		return "its APIs are those of no release of Kafka"
	}
	return "Kafka " + strings.ReplaceAll(guess, "v", "")
}

// rates are records per second by topic; nil without a sample.
type rates map[string]int64

func (r rates) total() *int64 {
	if r == nil {
		return nil
	}
	sum := int64(0)
	for _, perSecond := range r {
		sum += perSecond
	}
	return &sum
}

func (r rates) of(topic string) *int64 {
	if r == nil {
		return nil
	}
	return show.Pointer(r[topic])
}

// messages counts the records of topics from their offsets, and with a sample
// how many come in a second. A partition that cannot be asked counts as empty:
// the health of the cluster is told elsewhere.
func (s *session) messages(topics kadm.TopicDetails, sample *sampleFlag) (map[string]int64, rates, error) {
	names := topics.Names()
	counts := map[string]int64{}
	if len(names) == 0 {
		return counts, nil, nil
	}
	starts, err := s.admin.ListStartOffsets(s.ctx, names...)
	if err = partly(err); err != nil {
		return nil, nil, err
	}
	ends, err := s.admin.ListEndOffsets(s.ctx, names...)
	if err = partly(err); err != nil {
		return nil, nil, err
	}
	asked := s.Now()
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok && start.Err == nil && end.Err == nil {
			counts[end.Topic] += end.Offset - start.Offset
		}
	})
	if sample.duration == 0 {
		return counts, nil, nil
	}
	select {
	case <-time.After(sample.duration):
	case <-s.ctx.Done():
		return nil, nil, s.ctx.Err()
	}
	later, err := s.admin.ListEndOffsets(s.ctx, names...)
	if err = partly(err); err != nil {
		return nil, nil, err
	}
	elapsed := max(s.Now().Sub(asked), time.Millisecond)
	grown := map[string]int64{}
	later.Each(func(end kadm.ListedOffset) {
		if before, ok := ends.Lookup(end.Topic, end.Partition); ok && before.Err == nil && end.Err == nil {
			grown[end.Topic] += end.Offset - before.Offset
		}
	})
	perSecond := rates{}
	for topic, count := range grown {
		perSecond[topic] = count * int64(time.Second) / int64(elapsed)
	}
	return counts, perSecond, nil
}

// partly forgives that some brokers did not answer, when others did.
func partly(err error) error {
	if shards, ok := problem.Shards(err); ok && !shards.AllFailed {
		return nil
	}
	return err
}

// sizes are the bytes of logs that brokers told; nil when none did.
type sizes struct {
	byBroker map[int32]int64
	byTopic  map[string]int64
}

// sizes asks for the sizes of all logs. They are an ornament: an old broker or
// a missing right leaves them out.
func (s *session) sizes() *sizes {
	described, err := s.admin.DescribeAllLogDirs(s.ctx, nil)
	if partly(err) != nil {
		return nil
	}
	out := &sizes{map[int32]int64{}, map[string]int64{}}
	described.Each(func(d kadm.DescribedLogDir) {
		if d.Err != nil {
			return
		}
		out.byBroker[d.Broker] += d.Size()
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) { out.byTopic[p.Topic] += p.Size })
	})
	return out
}

func (z *sizes) ofBroker(id int32) *show.Bytes {
	if z == nil {
		return nil
	}
	return known(z.byBroker, id)
}

func (z *sizes) ofTopic(name string) *show.Bytes {
	if z == nil {
		return nil
	}
	return known(z.byTopic, name)
}

func known[K comparable](sizes map[K]int64, key K) *show.Bytes {
	if size, ok := sizes[key]; ok {
		return show.Pointer(show.Bytes(size))
	}
	return nil
}

func (z *sizes) total() *show.Bytes {
	if z == nil || len(z.byBroker) == 0 {
		return nil
	}
	sum := int64(0)
	for _, size := range z.byBroker {
		sum += size
	}
	return show.Pointer(show.Bytes(sum))
}
