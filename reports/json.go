package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// JSON is the content of result.json: indented, fields in the order of Result,
// lists never null. The only error is a figure that JSON cannot hold (NaN or
// infinite).
func JSON(r *Result) ([]byte, error) { return encode(r, "  ") }

// JSONLine is one run on one line, for --format json.
func JSONLine(r *Result) ([]byte, error) { return encode(r, "") }

func encode(r *Result, indent string) ([]byte, error) {
	filled := *r
	filled.Claims = orEmpty(r.Claims)
	filled.Thresholds = orEmpty(r.Thresholds)
	filled.Anomalies = orEmpty(r.Anomalies)
	filled.Faults = orEmpty(r.Faults)
	filled.Unavailability = orEmpty(r.Unavailability)
	filled.Stalls = orEmpty(r.Stalls)
	filled.ZoneTraffic = orEmpty(r.ZoneTraffic)
	filled.Nodes = orEmpty(r.Nodes)
	filled.Series = orEmpty(r.Series)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	// Tools read it, not browsers: p99<20ms stays legible.
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(&filled); err != nil {
		return nil, fmt.Errorf("encode the result of %s seed %d: %w", r.Scenario, r.Seed, err)
	}
	return b.Bytes(), nil
}

// orEmpty keeps null out of lists, so that readers need no special case.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Decode reads what JSON or JSONLine wrote. Fields that it does not know, of a
// later version, are ignored; the verdict must be one of the three.
func Decode(data []byte) (*Result, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	r := new(Result)
	if err := d.Decode(r); err != nil {
		var syntax *json.SyntaxError
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("the file is empty")
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("the JSON ends in the middle")
		case errors.As(err, &syntax):
			return nil, fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the result")
	}
	switch r.Verdict {
	case Pass, Fail, Inconclusive:
		return r, nil
	}
	return nil, fmt.Errorf("verdict %q is none of pass, fail, inconclusive", r.Verdict)
}
