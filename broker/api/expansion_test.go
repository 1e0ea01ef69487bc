package api

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: no request decodes to more than wire.StructureExpansionMax times its
// length. Method: of each request that is served, in every version, each array in
// turn is filled with elements that hold nothing but an unknown tag, and each
// element of an outer array with one of the inner; what decoding allocates is
// measured.
func TestWorstExpansion(t *testing.T) {
	const elements = 2000
	worst, worstOf := 0.0, ""
	for key, k := range byKey {
		if k == nil || int16(key) == wire.KeyProduce || int16(key) == wire.KeyFetch {
			continue // their decoders are our own: no maps, see below
		}
		for version := k.Min; version <= k.Max; version++ {
			for _, path := range arrays(reflect.TypeOf(fresh(int16(key), version)).Elem(), nil) {
				for many := range path {
					r, into := fresh(int16(key), version), fresh(int16(key), version)
					fill(reflect.ValueOf(r).Elem(), path, many, elements)
					body := r.AppendTo(nil)
					if n := float64(allocated(t, into, body)) / float64(len(body)); n > worst {
						worst, worstOf = n, fmt.Sprintf("%s version %d", kmsg.NameForKey(int16(key)), version)
					}
				}
			}
		}
	}
	for version := wire.FetchVersionMin; version <= wire.FetchVersionMax; version++ {
		r := &wire.FetchRequest{Version: version}
		for range elements {
			r.AddTopic("", [16]byte{})
		}
		body := r.AppendTo(nil)
		if n := float64(allocated(t, &wire.FetchRequest{Version: version}, body)) / float64(len(body)); n > worst {
			worst, worstOf = n, fmt.Sprintf("Fetch version %d", version)
		}
	}
	t.Logf("%s: %.0f bytes for each", worstOf, worst)
	if worst > wire.StructureExpansionMax {
		t.Errorf("%s decodes to %.1f times its length, at most %d are promised", worstOf, worst, wire.StructureExpansionMax)
	}
	if worst < wire.StructureExpansionMax/8 {
		t.Errorf("%s decodes to %.1f times its length only: is anything measured?", worstOf, worst)
	}
}

func fresh(key, version int16) kmsg.Request {
	r := kmsg.RequestForKey(key)
	r.SetVersion(version)
	return r
}

// arrays lists the paths of field numbers that lead to each array of structs.
func arrays(of reflect.Type, path []int) (paths [][]int) {
	for i := range of.NumField() {
		if f := of.Field(i).Type; f.Kind() == reflect.Slice && f.Elem().Kind() == reflect.Struct {
			here := append(path[:len(path):len(path)], i)
			paths = append(append(paths, here), arrays(f.Elem(), here)...)
		}
	}
	return paths
}

// fill gives each array of a path one element, that of place many as many as asked.
func fill(at reflect.Value, path []int, many, elements int) {
	for depth, field := range path {
		n := 1
		if depth == many {
			n = elements
		}
		list := at.Field(field)
		list.Set(reflect.MakeSlice(list.Type(), n, n))
		for i := range n {
			e := list.Index(i)
			e.Addr().Interface().(interface{ Default() }).Default()
			if tags := e.FieldByName("UnknownTags"); tags.IsValid() {
				tags.Addr().Interface().(*kmsg.Tags).Set(100, nil)
			}
			if depth == many && depth+1 < len(path) {
				fill(e, path[depth+1:], -1, 0)
			}
		}
		if depth == many {
			return
		}
		at = list.Index(0)
	}
}

// allocated returns how many bytes decoding allocates.
func allocated(t *testing.T, into interface{ ReadFrom([]byte) error }, body []byte) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := into.ReadFrom(body); err != nil {
		t.Fatalf("%T: %v", into, err)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
