package scenarios

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// Goal: an editor that has the schema completes every word of the vocabulary, and
// underlines what is none. Method: each word is looked for at its place.
func TestSchemaHasTheVocabulary(t *testing.T) {
	var schema any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	at := func(path string) any {
		here := schema
		for _, key := range strings.Split(path, " ") {
			switch node := here.(type) {
			case map[string]any:
				here = node[key]
			case []any:
				here = node[0]
			}
		}
		return here
	}
	properties := func(path string, rows []*config.Property) {
		t.Helper()
		for _, p := range rows {
			if _, has := at(path + " properties config properties").(map[string]any)[p.Name]; has != p.Effect {
				t.Errorf("%s: %s: %v, its effect is %v", path, p.Name, has, p.Effect)
			}
		}
	}
	properties("properties topics additionalProperties", config.TopicProperties())
	properties("properties cluster properties brokers", config.BrokerProperties())
	properties("properties workload properties producers items", clientconfig.ProducerProperties())
	properties("properties workload properties consumers items", clientconfig.ConsumerProperties())
	for _, key := range []string{"thresholds", "during_fault"} {
		for _, m := range metrics {
			forms, _ := at("properties expect properties " + key + " properties " + m.name + " anyOf").([]any)
			if want := min(len(m.series), 1) + 2; len(forms) != want {
				t.Errorf("%s %s: %d forms, want %d", key, m.name, len(forms), want)
			}
		}
	}
	for _, r := range recoveries {
		if at("properties expect properties after_heal properties "+r.name+" allOf 0 properties within") == nil {
			t.Errorf("after_heal %s is missing", r.name)
		}
	}
	for _, path := range []string{"thresholds", "during_fault", "after_heal"} {
		if at("properties expect properties "+path+" additionalProperties") != false {
			t.Errorf("%s takes any word", path)
		}
	}
	switches, _ := at("properties known_bugs oneOf 0 enum").([]any)
	if len(switches) != len(bugs.Exhibits()) {
		t.Errorf("%d switches, want %d", len(switches), len(bugs.Exhibits()))
	}
}
