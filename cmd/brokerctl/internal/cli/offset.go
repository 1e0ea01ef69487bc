package cli

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/units"
)

// topicPartition names a partition.
type topicPartition struct {
	topic     string
	partition int32
}

// partitionBounds are the offsets that a partition has.
type partitionBounds struct {
	topicPartition
	start, end int64
}

// bounds reads the first and the next offset of partitions, all of the topics
// or the listed ones.
func (s *session) bounds(topics []string, partitions string) ([]partitionBounds, error) {
	details, err := s.lookupTopics(topics)
	if err != nil {
		return nil, err
	}
	var wanted []int32
	if partitions != "" {
		if wanted, err = partitionNumbers(partitions); err != nil {
			return nil, err
		}
	}
	starts, err := s.admin.ListStartOffsets(s.ctx, topics...)
	if err != nil {
		return nil, err
	}
	ends, err := s.admin.ListEndOffsets(s.ctx, topics...)
	if err != nil {
		return nil, err
	}
	var out []partitionBounds
	for _, topic := range details {
		for _, p := range wanted {
			if _, ok := topic.Partitions[p]; !ok {
				return nil, problem.Missing("topic %q has no partition %d; it has %d, counted from 0", topic.Topic, p, len(topic.Partitions))
			}
		}
		for _, p := range topic.Partitions.Numbers() {
			if wanted != nil && !slices.Contains(wanted, p) {
				continue
			}
			start, _ := starts.Lookup(topic.Topic, p)
			end, _ := ends.Lookup(topic.Topic, p)
			if err := cmp.Or(start.Err, end.Err); err != nil {
				return nil, s.topicProblem("read the offsets of topic", topic.Topic, err, "")
			}
			out = append(out, partitionBounds{topicPartition{topic.Topic, p}, start.Offset, end.Offset})
		}
	}
	return out, nil
}

const offsetForms = "start, end, N, +N (after the start), -N (before the end) or @time, where time is milliseconds or seconds since 1970, 2026-01-31, 2026-01-31T15:04:05Z or -36h for so long ago"

// resolve finds for each partition the offset that a text such as -10 or
// @2026-01-31 means, within what the partition has.
func (s *session) resolve(bounds []partitionBounds, text string) (map[topicPartition]int64, error) {
	if moment, ok := strings.CutPrefix(text, "@"); ok {
		at, err := parseMoment(moment, s.Now())
		if err != nil {
			return nil, err
		}
		return s.resolveMoment(bounds, at)
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil && text != "start" && text != "end" {
		return nil, problem.Input("offset %q: write %s", text, offsetForms)
	}
	out := map[topicPartition]int64{}
	for _, b := range bounds {
		offset := number
		switch {
		case text == "start":
			offset = b.start
		case text == "end":
			offset = b.end
		case text[0] == '+':
			offset = b.start + number
		case text[0] == '-':
			offset = b.end + number
		}
		out[b.topicPartition] = min(max(offset, b.start), b.end)
	}
	return out, nil
}

// resolveMoment finds the first record of each partition at or after a moment;
// the end where there is none.
func (s *session) resolveMoment(bounds []partitionBounds, at time.Time) (map[topicPartition]int64, error) {
	var topics []string
	for _, b := range bounds {
		if !slices.Contains(topics, b.topic) {
			topics = append(topics, b.topic)
		}
	}
	listed, err := s.admin.ListOffsetsAfterMilli(s.ctx, at.UnixMilli(), topics...)
	if err != nil {
		return nil, err
	}
	out := map[topicPartition]int64{}
	for _, b := range bounds {
		found, _ := listed.Lookup(b.topic, b.partition)
		if found.Err != nil {
			return nil, s.topicProblem("look up a time in topic", b.topic, found.Err, "")
		}
		out[b.topicPartition] = found.Offset
		if found.Offset < 0 {
			out[b.topicPartition] = b.end
		}
	}
	return out, nil
}

// momentLayouts are the dates that are understood, in UTC unless they say
// otherwise.
var momentLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}

// secondsDigits are the digits of a moment in seconds: 2001 to 2286.
const secondsDigits = 10

func parseMoment(text string, now time.Time) (time.Time, error) {
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		duration, err := units.ParseDuration(ago)
		if err != nil {
			return time.Time{}, problem.Input("time %q: %w", text, err)
		}
		return now.Add(-duration), nil
	}
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		if len(text) == secondsDigits {
			return time.Unix(number, 0), nil
		}
		return time.UnixMilli(number), nil
	}
	for _, layout := range momentLayouts {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return at, nil
		}
	}
	return time.Time{}, problem.Input("time %q: write 2026-01-31, 2026-01-31T15:04:05Z, milliseconds since 1970, or -36h for so long ago", text)
}
