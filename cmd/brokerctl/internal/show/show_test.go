package show

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValuesForPeople(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{Bytes(0).String(), "0 B"},
		{Bytes(1023).String(), "1023 B"},
		{Bytes(1536).String(), "1.5 KiB"},
		{Bytes(200 << 20).String(), "200 MiB"},
		{Millis(129_600_000).String(), "36h"},
		{Millis(1500).String(), "1500ms"},
		{Millis(-1).String(), "for ever"},
		{Millis(1<<63 - 1).String(), "for ever"},
		{Instant(0).String(), "1970-01-01T00:00:00.000Z"},
		{Instant(-1).String(), "-"},
		{IDs{3, 1}.String(), "3,1"},
		{IDs(nil).String(), "-"},
		{Names{"a", "b"}.String(), "a,b"},
		{Share{0, 3}.String(), "[----------] 0/3"},
		{Share{1, 1000}.String(), "[#---------] 1/1000"},
		{Share{999, 1000}.String(), "[#########-] 999/1000"},
		{Share{3, 3}.String(), "[##########] 3/3"},
		{Share{0, 0}.String(), "[##########] 0/0"},
		{Share{1 << 62, 1 << 62}.bar(), "[##########]"},
		{Volume{512 << 20, 1 << 30}.String(), "[#####-----] 512 MiB/1.0 GiB"},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Error(diff)
		}
	}
}

type row struct {
	Name  string `json:"name" head:"NAME"`
	Count int    `json:"count" head:"COUNT"`
	Rate  *int64 `json:"rate" head:"RATE"`
	Where IDs    `json:"where" head:"WHERE" wide:"yes"`
}

type list struct {
	Rows []row `json:"rows"`
}

func (l list) Text(t *Text) { t.Table(l.Rows, "none") }

func TestOneViewInEveryFormat(t *testing.T) {
	view := list{[]row{{"a", 5, nil, nil}, {"longer", 12, nil, IDs{1}}}}
	for format, want := range map[Format]string{
		FormatText: "NAME    COUNT\na           5\nlonger     12\n",
		FormatWide: "NAME    COUNT  WHERE\na           5  -\nlonger     12  1\n",
		FormatYAML: "rows:\n- name: a\n  count: 5\n  rate: null\n  where: []\n- name: longer\n  count: 12\n  rate: null\n  where:\n  - 1\n",
	} {
		var out stringWriter
		if err := Print(&out, format, view); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(out)); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

type stringWriter string

func (w *stringWriter) Write(p []byte) (int, error) {
	*w += stringWriter(p)
	return len(p), nil
}
