package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/units"
)

// durationFlag is a duration with a unit; days are allowed.
type durationFlag struct {
	duration time.Duration
	given    bool
}

func (f *durationFlag) Type() string { return "duration" }

func (f *durationFlag) String() string {
	if !f.given {
		return ""
	}
	return units.Format(int64(f.duration), units.Durations)
}

func (f *durationFlag) Set(text string) error {
	duration, err := units.ParseDuration(text)
	if err != nil {
		return err
	}
	if duration < 0 {
		return fmt.Errorf("%s is before now; leave out the minus", text)
	}
	f.duration, f.given = duration, true
	return nil
}

func (f *sampleFlag) Set(text string) error {
	if err := f.durationFlag.Set(text); err != nil {
		return err
	}
	if f.duration > sampleMax {
		return fmt.Errorf("%s is more than %s", text, sampleMax)
	}
	return nil
}

// wordDisable says "no limit" where a duration or a size is expected.
const wordDisable = "disable"

// retentionText turns 36h, 10GiB or disable into Kafka's number: milliseconds or
// bytes, and -1 for no limit.
func retentionText(text string, parse func(string) (int64, error)) (string, error) {
	if strings.EqualFold(text, wordDisable) {
		return "-1", nil
	}
	value, err := parse(text)
	if err != nil {
		return "", fmt.Errorf("%w; or %s for no limit", err, wordDisable)
	}
	if value <= 0 {
		return "", fmt.Errorf("%q would keep nothing; %s is no limit", text, wordDisable)
	}
	return fmt.Sprint(value), nil
}

func parseMillis(text string) (int64, error) {
	duration, err := units.ParseDuration(text)
	return duration.Milliseconds(), err
}

// choiceFlag is one of a few words.
type choiceFlag struct {
	value   string
	choices []string
}

func (f *choiceFlag) Type() string   { return strings.Join(f.choices, "|") }
func (f *choiceFlag) String() string { return f.value }

func (f *choiceFlag) Set(text string) error {
	for _, choice := range f.choices {
		if strings.EqualFold(choice, text) {
			f.value = choice
			return nil
		}
	}
	return fmt.Errorf("it is %s", strings.Join(f.choices, ", "))
}
