package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A coordinator without a replica of a partition cannot know its end: neither
// the partition's lag is shown nor a sum that would be too small.
func TestLagThatIsNotKnownIsNotShown(t *testing.T) {
	s := &snapshot{groups: []groupState{{id: "g", members: 2, offsets: []groupOffset{
		{topic: "here", partition: 0, offset: 4, end: 10},
		{topic: "here", partition: 1, offset: 7, end: 5}, // a follower is told of the high watermark later
		{topic: "half", partition: 0, offset: 1, end: 3},
		{topic: "half", partition: 1, offset: 1, end: -1},
	}}}}
	look := func(context.Context) (*snapshot, error) { return s, nil }
	answer := httptest.NewRecorder()
	handler(look).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var got []string
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "kafka_consumergroup_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`kafka_consumergroup_current_offset{consumergroup="g",partition="0",topic="half"} 1`,
		`kafka_consumergroup_current_offset{consumergroup="g",partition="0",topic="here"} 4`,
		`kafka_consumergroup_current_offset{consumergroup="g",partition="1",topic="half"} 1`,
		`kafka_consumergroup_current_offset{consumergroup="g",partition="1",topic="here"} 7`,
		`kafka_consumergroup_current_offset_sum{consumergroup="g",topic="half"} 2`,
		`kafka_consumergroup_current_offset_sum{consumergroup="g",topic="here"} 11`,
		`kafka_consumergroup_lag{consumergroup="g",partition="0",topic="half"} 2`,
		`kafka_consumergroup_lag{consumergroup="g",partition="0",topic="here"} 6`,
		`kafka_consumergroup_lag{consumergroup="g",partition="1",topic="here"} 0`,
		`kafka_consumergroup_lag_sum{consumergroup="g",topic="here"} 6`,
		`kafka_consumergroup_members{consumergroup="g"} 2`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
