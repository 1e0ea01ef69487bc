package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/show"
	"github.com/seed-604ea8f1/windtunnel/units"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The topic properties that say how long records live.
const (
	cleanupPolicy   = "cleanup.policy"
	retentionMillis = "retention.ms"
	retentionBytes  = "retention.bytes"
)

// policy is a cleanup.policy.
type policy struct{ compact, remove bool }

func policyOf(text string) policy {
	return policy{compact: strings.Contains(text, "compact"), remove: strings.Contains(text, "delete")}
}

func (p policy) String() string {
	switch {
	case p.compact && p.remove:
		return "compact,delete"
	case p.compact:
		return "compact"
	}
	return "delete"
}

// lifetime is how long a topic keeps its records.
type lifetime struct {
	policy policy
	millis int64 // retention.ms; below 0 is for ever
	bytes  int64 // retention.bytes of a partition; below 0 is no limit
}

func (l lifetime) String() string {
	var parts []string
	if l.policy.compact {
		parts = append(parts, "the last record of each key is kept")
	}
	switch {
	case !l.policy.remove && l.policy.compact:
		parts = append(parts, "nothing is deleted by age or size")
	case l.millis < 0 && l.bytes < 0:
		parts = append(parts, "nothing is deleted by age or size")
	case l.bytes < 0:
		parts = append(parts, "records are deleted after "+show.Millis(l.millis).String())
	case l.millis < 0:
		parts = append(parts, "the oldest records are deleted above "+show.Bytes(l.bytes).String()+" a partition")
	default:
		parts = append(parts, fmt.Sprintf("records are deleted after %s, or above %s a partition", show.Millis(l.millis), show.Bytes(l.bytes)))
	}
	return strings.Join(parts, "; ")
}

// lifetimeOf reads how long a topic keeps its records.
func (s *session) lifetimeOf(topic string) (lifetime, error) {
	if _, err := s.lookupTopics([]string{topic}); err != nil {
		return lifetime{}, err
	}
	rows, err := s.describeConfig(kmsg.ConfigResourceTypeTopic, topic)
	if err != nil {
		return lifetime{}, err
	}
	out := lifetime{millis: -1, bytes: -1}
	for _, row := range rows {
		var err error
		switch row.Name {
		case cleanupPolicy:
			out.policy = policyOf(row.Value)
		case retentionMillis:
			out.millis, err = strconv.ParseInt(row.Value, 10, 64)
		case retentionBytes:
			out.bytes, err = strconv.ParseInt(row.Value, 10, 64)
		}
		if err != nil {
			return lifetime{}, problem.Refused("topic %q: the cluster says %s=%q, which is no number", topic, row.Name, row.Value)
		}
	}
	return out, nil
}

// setLifetime changes what differs, and says how it is now.
func (s *session) setLifetime(topic string, before, after lifetime, dry bool) error {
	var changes []kadm.AlterConfig
	set := func(name, value string) {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	if before.policy != after.policy {
		set(cleanupPolicy, after.policy.String())
	}
	if before.millis != after.millis {
		set(retentionMillis, strconv.FormatInt(after.millis, 10))
	}
	if before.bytes != after.bytes {
		set(retentionBytes, strconv.FormatInt(after.bytes, 10))
	}
	if len(changes) > 0 {
		if err := s.alterTopic(topic, changes, dry); err != nil {
			return err
		}
	}
	return s.showResults(dry, []topicResult{{topic, after.String()}}, nil)
}

func (a *App) topicCompactionCommand() *cobra.Command {
	var retention string
	var dry bool
	cmd := &cobra.Command{
		Use: "compaction TOPIC enable|disable", Short: "Keep only the last record of each key, or stop doing so",
		Args: exactly("TOPIC", "enable|disable"), ValidArgsFunction: inOrder(a.completeTopics, words("enable", "disable")),
		Long: `Keep only the last record of each key, or stop doing so. Deletion by age and size
stays as it was: brokerctl topic retention TOPIC disable ends that too. Where
compaction alone has kept the records, its end needs --retention, since otherwise
the brokers' default would delete what is old.`,
		Example: "  brokerctl topic compaction state enable\n  brokerctl topic compaction state disable --retention 10d",
		RunE: a.connected(func(s *session, args []string) error {
			before, err := s.lifetimeOf(args[0])
			if err != nil {
				return err
			}
			after, err := before.withCompaction(args[0], args[1], retention)
			if err != nil {
				return err
			}
			return s.setLifetime(args[0], before, after, dry)
		}),
	}
	cmd.Flags().StringVar(&retention, "retention", "", "from now on delete records after a `duration` such as 36h or 10d, or disable")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "let the cluster check it and change nothing")
	return cmd
}

func (l lifetime) withCompaction(topic, word, retention string) (lifetime, error) {
	after := l
	switch word {
	case "enable":
		after.policy.compact = true
	case wordDisable:
		if l.policy.compact && !l.policy.remove && retention == "" {
			return l, problem.Input("topic %q is kept by compaction alone, and without it records older than %s would be deleted; say --retention DURATION, or --retention disable to keep all",
				topic, show.Millis(l.millis))
		}
		after.policy = policy{remove: true}
	default:
		return l, problem.Input("compaction is enabled or disabled: write enable or disable, not %q", word)
	}
	if retention != "" {
		return after.withAge(retention)
	}
	return after, nil
}

// withAge sets or ends deletion by age.
func (l lifetime) withAge(text string) (lifetime, error) {
	millis, err := retentionText(text, parseMillis)
	if err != nil {
		return l, problem.Input("retention: %w", err)
	}
	if l.millis, err = strconv.ParseInt(millis, 10, 64); err != nil {
		return l, problem.Input("retention: %w", err)
	}
	if l.millis >= 0 {
		l.policy.remove = true
	}
	return l, nil
}

func (a *App) topicRetentionCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "retention TOPIC DURATION|SIZE|disable", Short: "Delete records by age or size, or never",
		Args: exactly("TOPIC", "DURATION|SIZE|disable"), ValidArgsFunction: inOrder(a.completeTopics, words("36h", "7d", "1GiB", wordDisable)),
		Long: `Delete records after a time such as 36h or 10d, or the oldest ones above a size of
each partition such as 1GiB; disable ends both. A compacted topic goes on
being compacted.`,
		Example: "  brokerctl topic retention orders 36h\n  brokerctl topic retention orders 1GiB\n  brokerctl topic retention state disable",
		RunE: a.connected(func(s *session, args []string) error {
			before, err := s.lifetimeOf(args[0])
			if err != nil {
				return err
			}
			after, err := before.withRetention(args[1])
			if err != nil {
				return err
			}
			return s.setLifetime(args[0], before, after, dry)
		}),
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "let the cluster check it and change nothing")
	return cmd
}

func (l lifetime) withRetention(text string) (lifetime, error) {
	if strings.EqualFold(text, wordDisable) {
		l.millis, l.bytes = -1, -1
		l.policy.remove = !l.policy.compact
		return l, nil
	}
	if size, err := retentionText(text, units.ParseSize); err == nil {
		if l.bytes, err = strconv.ParseInt(size, 10, 64); err != nil {
			return l, problem.Input("retention: %w", err)
		}
		l.policy.remove = true
		return l, nil
	}
	if _, err := parseMillis(text); err != nil {
		return l, problem.Input("retention %q: write a time such as 36h or 10d, a size such as 1GiB, or disable", text)
	}
	return l.withAge(text)
}
