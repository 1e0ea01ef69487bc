package jaas

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// What is read, and what is refused with which words, is a transcript. The
// parser is fuzzed: it neither panics nor shows a password in an error.

func TestParse(t *testing.T) {
	datadriven.RunTest(t, "testdata/parse", func(t *testing.T, d *datadriven.TestData) string {
		e, err := Parse(d.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s username=%q password=%q\n", e.Module, e.Username, e.Password)
		for _, name := range slices.Sorted(maps.Keys(e.Users)) {
			fmt.Fprintf(&b, "user %q: %q\n", name, e.Users[name])
		}
		return b.String()
	})
}

func FuzzParse(f *testing.F) {
	f.Add(PlainModule + ` required username="a" password="hush" user_a="hush";`)
	f.Add(ScramModule + ` required username=a password=hush;`)
	f.Add(OAuthModule + " required;")
	f.Add(PlainModule + ` required password="hush`)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err == nil && (e.Module == "" || e.Users == nil) {
			t.Fatalf("%q gave %+v", text, e)
		}
		if err != nil && e != nil {
			t.Fatalf("%q gave an entry and an error", text)
		}
	})
}

func TestErrorsHideThePassword(t *testing.T) {
	full := PlainModule + ` required username="admin" password="hush\"-hush" user_alice="hush\"-hush" user_bob="hush\"-hush";`
	for n := range len(full) {
		if _, err := Parse(full[:n]); err != nil && strings.Contains(err.Error(), "hush") {
			t.Fatalf("%q: %v", full[:n], err)
		}
	}
}
