package listener

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Goal: what comes of Kafka's listener properties is what Kafka makes of them.
// Method: transcripts of properties, the set that they give, or the error.
func TestParse(t *testing.T) {
	datadriven.RunTest(t, "testdata/parse", func(t *testing.T, d *datadriven.TestData) string {
		var properties []config.KV
		for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
			if name, value, ok := strings.Cut(line, "="); ok {
				properties = append(properties, config.KV{Name: name, Value: value})
			}
		}
		s, err := config.ParseSettings(properties)
		if err != nil {
			return err.Error() + "\n"
		}
		set, binds, err := Parse(&s.Node, d.HasArg("broker"), d.HasArg("controller"))
		if err != nil {
			return err.Error() + "\n"
		}
		var out strings.Builder
		for i := range set.All {
			l := &set.All[i]
			fmt.Fprintf(&out, "%d %s %s %s:%d controller=%v\n", i, l.Name, l.Protocol, l.Host, l.Port, l.Controller)
		}
		fmt.Fprintf(&out, "between brokers %d, to controllers %d, bind %v, register %v\n", set.InterBroker, set.Controllers, binds, set.Endpoints())
		return out.String()
	})
}
