package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What dashboards read is what has happened: ten records of a known size are
// produced, a group commits four of them, and the metrics say so.
func TestMetrics(t *testing.T) {
	t.Parallel()
	p := run(t, "--dev", "--data", t.TempDir(), "--listen", "localhost:0", "--override", "windtunnel.admin.listener=localhost:0")
	c := &brokers{t: t, bootstrap: p.bootstrap}
	cl := c.client(kgo.DefaultProduceTopic("m"), kgo.AllowAutoTopicCreation())
	for i := range 10 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: numbered(i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	reader := c.client(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("m"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	records := reader.PollRecords(t.Context(), 4).Records()
	if err := reader.CommitRecords(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	body := get(t, "http://"+p.admin+"/metrics", http.StatusOK)
	for _, want := range []string{
		"kafka_brokers 1",
		fmt.Sprintf(`kafka_broker_info{address=%q,id="1"} 1`, p.bootstrap),
		`kafka_topic_partitions{topic="m"} 1`,
		`kafka_topic_partition_leader{partition="0",topic="m"} 1`,
		`kafka_topic_partition_leader_is_preferred{partition="0",topic="m"} 1`,
		`kafka_topic_partition_replicas{partition="0",topic="m"} 1`,
		`kafka_topic_partition_under_replicated_partition{partition="0",topic="m"} 0`,
		fmt.Sprintf(`kafka_consumergroup_current_offset_sum{consumergroup="g",topic="m"} %d`, len(records)),
		fmt.Sprintf(`kafka_consumergroup_lag_sum{consumergroup="g",topic="m"} %d`, 10-len(records)),
		`kafka_topic_partition_current_offset{partition="0",topic="m"} 10`,
		`kafka_topic_partition_oldest_offset{partition="0",topic="m"} 0`,
		`kafka_topic_partition_in_sync_replica{partition="0",topic="m"} 1`,
		fmt.Sprintf(`kafka_consumergroup_current_offset{consumergroup="g",partition="0",topic="m"} %d`, len(records)),
		fmt.Sprintf(`kafka_consumergroup_lag{consumergroup="g",partition="0",topic="m"} %d`, 10-len(records)),
		`kafka_consumergroup_members{consumergroup="g"} 1`,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="m"} 10`,
		`kafka_server_brokertopicmetrics_messagesin_total{topic=""} 10`,
		"kafka_controller_kafkacontroller_activecontrollercount 1",
		"kafka_controller_kafkacontroller_offlinepartitionscount 0",
		"kafka_controller_kafkacontroller_globaltopiccount 2", // and __consumer_offsets
		"kafka_controller_kafkacontroller_globalpartitioncount 51",
		"kafka_controller_kafkacontroller_preferredreplicaimbalancecount 0",
		"kafka_controller_kafkacontroller_activebrokercount 1",
		"kafka_controller_kafkacontroller_fencedbrokercount 0",
		"kafka_server_replicamanager_underreplicatedpartitions 0",
		"kafka_server_replicamanager_underminisrpartitioncount 0",
		"kafka_server_replicamanager_atminisrpartitioncount 51",
		`kafka_server_brokertopicmetrics_totalproducerequests_total{topic="m"} 10`,
		`kafka_server_brokertopicmetrics_replicationbytesin_total{topic=""} 0`,
		`kafka_log_log_logstartoffset{partition="0",topic="m"} 0`,
		`kafka_log_log_logendoffset{partition="0",topic="m"} 10`,
		`kafka_network_requestmetrics_requests_total{request="InitProducerId"} 1`,
		"kafka_server_kafkaserver_brokerstate 3",
		`kafka_network_requestmetrics_requests_total{request="Produce"} 10`,
		"go_goroutines", "process_open_fds",
	} {
		if !strings.Contains(body, want+" ") && !strings.Contains(body, want+"\n") {
			t.Errorf("no %s in\n%s", want, grep(body, "kafka_"))
		}
	}
	if !strings.Contains(body, `kafka_server_brokertopicmetrics_bytesout_total{topic="m"}`) ||
		strings.Contains(body, `kafka_server_brokertopicmetrics_bytesout_total{topic="m"} 0`) {
		t.Errorf("no bytes out in %s", grep(body, "bytesout"))
	}
	get(t, "http://"+p.admin+"/healthz", http.StatusOK)
	get(t, "http://"+p.admin+"/readyz", http.StatusOK)
	get(t, "http://"+p.admin+"/debug/pprof/goroutine?debug=1", http.StatusOK)
	get(t, "http://"+p.admin+"/no", http.StatusNotFound)
}

// A node of a quorum that is not there lives, and is not ready.
func TestReadinessNeedsTheCluster(t *testing.T) {
	cmd := command(t, "--dev", "--data", t.TempDir(), "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA",
		"--override", "listeners=PLAINTEXT://localhost:0,CONTROLLER://localhost:0",
		"--override", "controller.quorum.voters=1@localhost:1,2@localhost:2,3@localhost:3",
		"--override", "windtunnel.admin.listener=localhost:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var address string
	if _, err := fmt.Fscanf(out, "admin.listener=%s\n", &address); err != nil {
		t.Fatal(err)
	}
	get(t, "http://"+address+"/healthz", http.StatusOK)
	get(t, "http://"+address+"/readyz", http.StatusServiceUnavailable)
}

func get(t *testing.T, url string, want int) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Errorf("%s: %v %s %s", url, err, resp.Status, body)
	}
	return string(body)
}

func grep(text, word string) string {
	var b strings.Builder
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, word) && !strings.HasPrefix(line, "#") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
