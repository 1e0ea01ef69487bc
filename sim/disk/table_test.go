package disk

import (
	"testing"

	"pgregory.net/rapid"
)

// Goal: the table agrees with a map. Method: rapid state machine over few ids, so
// that they are in each other's way.
func TestTableAgreesWithMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table table
		model := map[uint32]int32{}
		ids := rapid.Uint32Range(0, 200)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if _, ok := model[id]; !ok {
					model[id] = rapid.Int32Range(0, 1<<20).Draw(t, "slot")
					table.put(id, model[id])
				}
			},
			"remove": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if _, ok := model[id]; ok {
					delete(model, id)
					table.remove(id)
				}
			},
			"": func(t *rapid.T) {
				for id := range uint32(201) {
					want, ok := model[id]
					if !ok {
						want = -1
					}
					if got := table.get(id); got != want {
						t.Fatalf("slot of %d is %d, want %d", id, got, want)
					}
				}
			},
		})
	})
}
