package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The transcripts run commands against franz-go's fake cluster, which shares no
// code with our broker, and show what a user sees: stdout, stderr behind "! ",
// and the exit status when it is not 0.

// transcriptTime is the time of every transcript.
var transcriptTime = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// columnsMax is what a text table may take for names that are not longer than
// those of the transcripts.
const columnsMax = 80

func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := &workbench{t: t, directory: t.TempDir(), variables: map[string]string{}}
		defer w.close()
		datadriven.RunTest(t, path, w.run)
	})
}

// workbench is the world of one transcript.
type workbench struct {
	t         *testing.T
	directory string
	variables map[string]string
	cluster   *kfake.Cluster
	members   []*kgo.Client
}

func (w *workbench) close() {
	for _, member := range w.members {
		member.Close()
	}
	if w.cluster != nil {
		w.cluster.Close()
	}
}

func (w *workbench) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "cluster":
		return w.startCluster(d)
	case "sick":
		return w.makeSick()
	case "pin":
		return w.pin(d)
	case "join":
		return w.join(d)
	case "env":
		for _, arg := range d.CmdArgs {
			w.variables[arg.Key] = arg.Vals[0]
		}
		return ""
	case "file":
		if err := os.WriteFile(w.path(d.CmdArgs[0].Key), []byte(d.Input+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return ""
	case "ctl":
		return w.ctl(d)
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return ""
}

func (w *workbench) path(name string) string { return filepath.Join(w.directory, name) }

// startCluster starts a fake cluster: brokers=3, and with sasl one that wants a
// login.
func (w *workbench) startCluster(d *datadriven.TestData) string {
	brokers := 1
	d.MaybeScanArgs(w.t, "brokers", &brokers)
	options := []kfake.Opt{kfake.NumBrokers(brokers), kfake.ClusterID("fake"), kfake.DefaultNumPartitions(2)}
	if d.HasArg("sasl") {
		options = append(options, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "admin", "secret"),
			kfake.User("PLAIN", "alice", "wonder"), kfake.EnableACLs())
	}
	if d.HasArg("tls") {
		options = append(options, kfake.TLS(certify(w.t, w.path("ca.pem"))))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.cluster != nil {
		w.cluster.Close()
	}
	w.cluster = cluster
	w.variables["BROKERCTL_BROKERS"] = strings.Join(cluster.ListenAddrs(), ",")
	return ""
}

// pin gives each partition of a topic the leader that its number says; the fake
// cluster draws them.
func (w *workbench) pin(d *datadriven.TestData) string {
	for _, arg := range d.CmdArgs {
		for _, p := range w.cluster.PartitionInfos(arg.Key) {
			if err := w.cluster.MoveTopicPartition(arg.Key, p.Partition, p.Partition%int32(len(w.cluster.ListenAddrs()))); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return ""
}

// join starts a member of a group and waits until it has its partitions:
// classic, or with consumer-protocol of KIP-848.
func (w *workbench) join(d *datadriven.TestData) string {
	var group, topic string
	d.ScanArgs(w.t, "group", &group)
	d.ScanArgs(w.t, "topic", &topic)
	options := []kgo.Opt{kgo.SeedBrokers(w.cluster.ListenAddrs()...), kgo.ClientID("worker"),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit()}
	if d.HasArg("consumer-protocol") {
		options = append(options, kgo.ServerSideBalancer())
	}
	member, err := kgo.NewClient(options...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.members = append(w.members, member)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if _, err := w.cluster.WaitGroupStable(ctx, group, 1); err != nil {
		w.t.Fatal(err)
	}
	return ""
}

// ctl runs a command line. Lines after << are its stdin.
func (w *workbench) ctl(d *datadriven.TestData) string {
	line, stdin, _ := strings.Cut(d.Input, "\n<<\n")
	args := splitWords(strings.ReplaceAll(line, "$DIR", w.directory))
	var stdout, stderr bytes.Buffer
	app := &App{
		Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Env:       func(name string) string { return w.variables[name] },
		ConfigDir: func() (string, error) { return w.directory, nil },
		Now:       func() time.Time { return transcriptTime },
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	status := app.Main(ctx, args)
	w.checkWidth(d, args, stdout.String())
	out := stdout.String()
	for _, line := range strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n") {
		if line != "" {
			out += "! " + line + "\n"
		}
	}
	if status != 0 {
		out += fmt.Sprintf("[exit %d]\n", status)
	}
	return w.normalize(out)
}

// checkWidth holds tables for people to what a terminal shows. Records are as
// long as they are.
func (w *workbench) checkWidth(d *datadriven.TestData, args []string, stdout string) {
	for _, arg := range args {
		if strings.HasPrefix(arg, "--format") || arg == "consume" {
			return
		}
	}
	for line := range strings.SplitSeq(stdout, "\n") {
		if n := utf8.RuneCountInString(line); n > columnsMax {
			d.Fatalf(w.t, "%d columns are more than %d: %s", n, columnsMax, line)
		}
	}
}

var drawn = []struct {
	pattern     *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "PASSWORD"},
	{regexp.MustCompile(`("id": "|ID +|  |id: )[A-Za-z0-9_-]{22}("|\n)`), "${1}TOPIC-ID-TOPIC-ID-TOPI$2"},
}

// normalize replaces what differs from run to run by something as wide.
func (w *workbench) normalize(out string) string {
	out = strings.ReplaceAll(out, w.directory, "$DIR")
	if w.cluster != nil {
		for i, address := range w.cluster.ListenAddrs() {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				w.t.Fatal(err)
			}
			out = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(out, strings.Repeat("P", len(port)-1)+fmt.Sprint(i))
		}
	}
	for _, d := range drawn {
		out = d.pattern.ReplaceAllString(out, d.replacement)
	}
	return out
}

// splitWords splits a line as a shell does, with single quotes only.
func splitWords(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out[len(out)-1] += part
			continue
		}
		words := strings.Fields(part)
		if i > 0 && len(words) > 0 && !strings.HasPrefix(part, " ") {
			out[len(out)-1] += words[0]
			words = words[1:]
		}
		out = append(out, words...)
		if strings.HasSuffix(part, " ") {
			out = append(out, "")
		}
	}
	if n := len(out); n > 0 && out[n-1] == "" && strings.HasSuffix(line, " ") {
		out = out[:n-1]
	}
	return out
}
