package reports

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// Goal: whoever reads result.json finds every key of it in docs/results.md.
// Method: the keys of the types are looked up in the text.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/results.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(of reflect.Type)
	walk = func(of reflect.Type) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for i := range of.NumField() {
			f := of.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if key == "-" {
				continue
			}
			if key != "" && !strings.Contains(string(text), "`"+key+"`") {
				t.Errorf("docs/results.md does not say what %q of %s is", key, of.Name())
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Result]())
}
