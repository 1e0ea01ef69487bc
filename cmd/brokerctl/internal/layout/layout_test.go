package layout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Every verb that the reference promises, of rpk and of kcat, on one record.
func TestVerbs(t *testing.T) {
	record := &kgo.Record{
		Topic: "orders", Partition: 3, Offset: 17, LeaderEpoch: 2,
		Key: []byte("k1"), Value: []byte("grüße"), Timestamp: time.UnixMilli(1_700_000_000_123),
		Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b"}},
	}
	tombstone := &kgo.Record{Topic: "orders", Key: []byte("k1")}
	for _, test := range []struct {
		format string
		record *kgo.Record
		want   string
	}{
		{`%t %p %o %k %v %h %T\n`, record, "orders 3 17 k1 grüße a=1,b=NULL 1700000000123\n"},
		{`%t/%p@%o %K %V %s %S %H %e`, record, "orders/3@17 2 7 grüße 7 2 2"},
		{`%k{hex} %v{base64} %h{%k:%v;}`, record, "6b31 Z3LDvMOfZQ== a:1;b:;"},
		{`%d{go#RFC3339#} %d{strftime[%F]}`, record, "2023-11-14T22:13:20Z 2023-11-14"},
		{`100%% \x41\t\\`, record, "100% A\t\\"},
		{`%V %v`, tombstone, "0 NULL"},
		{`%k %v`, &kgo.Record{Value: []byte{}}, "NULL "},
		{`no verb`, record, "no verb"},
		{``, record, ""},
	} {
		l, err := New(test.format, "NULL", 0)
		if err != nil {
			t.Errorf("%q: %v", test.format, err)
			continue
		}
		if diff := cmp.Diff(test.want, string(l.Append(nil, test.record))); diff != "" {
			t.Errorf("%q: %s", test.format, diff)
		}
	}
}

func TestCutsCharactersAndNotBytes(t *testing.T) {
	l, err := New("%v|%V", "NULL", 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(l.Append(nil, &kgo.Record{Value: []byte("grüße")})); got != "grü|7" {
		t.Errorf("got %q", got)
	}
}

func TestErrors(t *testing.T) {
	for format, want := range map[string]string{
		"%q":       "unknown %q at byte 1 of the format; known are %t %p %o %k %K %v %V %h %H %T %d %e %a %x %y %i and %%",
		"a %":      "the format ends with a percent sign; %% prints one",
		"%v{nope}": `format "%v{nope}": unknown %v{ escape`,
	} {
		_, err := New(format, "", 0)
		if err == nil {
			t.Errorf("%q is accepted", format)
			continue
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%q: %s", format, diff)
		}
	}
}

// No format panics, neither when it is read nor when it prints.
func FuzzNew(f *testing.F) {
	for _, seed := range []string{`%t %p %o\n`, `%h{%k=%v }`, `%d{strftime[%F]}`, `%v{`, `%`, `\x4`, `%a{compression}`} {
		f.Add(seed)
	}
	record := &kgo.Record{Topic: "t", Key: []byte("k"), Timestamp: time.UnixMilli(0)}
	f.Fuzz(func(t *testing.T, format string) {
		if l, err := New(format, "NULL", 5); err == nil {
			l.Append(nil, record)
		}
	})
}
