package timer

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"pgregory.net/rapid"
)

// Goal: the queue agrees with a naive list under any sequence of Set, Cancel
// and Pop. Method: rapid state machine against a map scanned for its minimum.
func TestQueueAgreesWithNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue
		model := map[ID]clock.Instant{}
		ids := rapid.Custom(func(t *rapid.T) ID {
			return ID{Owner: rapid.Uint8Range(0, 2).Draw(t, "owner"), A: rapid.Uint32Range(0, 20).Draw(t, "a")}
		})
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				id, at := ids.Draw(t, "id"), clock.Instant(rapid.Int64Range(0, 50).Draw(t, "at"))
				q.Set(id, at)
				model[id] = at
			},
			"cancel": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				q.Cancel(id)
				delete(model, id)
			},
			"pop": func(t *rapid.T) {
				now := clock.Instant(rapid.Int64Range(0, 50).Draw(t, "now"))
				got, ok := q.Pop(now)
				want, found := ID{}, false
				for id, at := range model {
					if at > now {
						continue
					}
					if !found || at < model[want] || at == model[want] && id.less(want) {
						want, found = id, true
					}
				}
				if ok != found || ok && got != want {
					t.Fatalf("pop(%v) = %v %v, want %v %v", now, got, ok, want, found)
				}
				if found {
					delete(model, want)
				}
			},
			"": func(t *rapid.T) {
				if q.Len() != len(model) {
					t.Fatalf("len %d, want %d", q.Len(), len(model))
				}
			},
		})
	})
}
