package api

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: clients whose ApiVersions is older than 4 hear of no feature that is
// supported from level 0 on, which Java's cannot read. Method: every version, and
// what its answer says of features.
func TestFeaturesByVersion(t *testing.T) {
	none := []string(nil)
	want := [][]string{none, none, none,
		{"SupportedFeatures: MaxVersion=33 MinVersion=7 Name=metadata.version"},
		{"SupportedFeatures: MaxVersion=33 MinVersion=7 Name=metadata.version", "SupportedFeatures: MaxVersion=1 Name=eligible.leader.replicas.version"},
		{"SupportedFeatures: MaxVersion=33 MinVersion=7 Name=metadata.version", "SupportedFeatures: MaxVersion=1 Name=eligible.leader.replicas.version"},
	}
	var got [][]string
	for version := range byKey[kmsg.ApiVersions].Max + 1 {
		d := newDesk(t)
		req := kmsg.NewPtrApiVersionsRequest()
		req.SetVersion(version)
		req.ClientSoftwareName, req.ClientSoftwareVersion = "apache-kafka-java", "3.8.0"
		d.sent[1] = req
		d.server.Handle(d.context(), &conn.Request{ID: 1, Key: req.Key(), Version: version, Body: req.AppendTo(nil), Session: d.peer})
		said := none
		for _, line := range strings.Split(d.said.String(), "\n") {
			if strings.Contains(line, "Features:") {
				said = append(said, strings.TrimSpace(line))
			}
		}
		got = append(got, said)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("features by version (-want +got):\n%s", diff)
	}
}
