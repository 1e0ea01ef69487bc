package kafka

import (
	"fmt"
	"time"

	"go.k6.io/k6/js/modules"
	"go.k6.io/k6/metrics"
)

// kafkaMetrics are those of xk6-kafka that this module can measure honestly, and
// the latency from end to end. Trends get one sample a batch.
type kafkaMetrics struct {
	writeCount, writerMessages, writerBytes, writerErrors *metrics.Metric
	batchSeconds, batchSize                               *metrics.Metric
	acksRequired                                          *metrics.Metric
	fetches, readerMessages, readerBytes                  *metrics.Metric
	readerErrors, readerTimeouts, rebalances              *metrics.Metric
	readSeconds, lag, offset, endToEnd                    *metrics.Metric
}

func registerMetrics(vu modules.VU) (*kafkaMetrics, error) {
	m := &kafkaMetrics{}
	for _, def := range []struct {
		into *(*metrics.Metric)
		name string
		kind metrics.MetricType
		of   metrics.ValueType
	}{
		{&m.writeCount, "kafka_writer_write_count", metrics.Counter, metrics.Default},
		{&m.writerMessages, "kafka_writer_message_count", metrics.Counter, metrics.Default},
		{&m.writerBytes, "kafka_writer_message_bytes", metrics.Counter, metrics.Data},
		{&m.writerErrors, "kafka_writer_error_count", metrics.Counter, metrics.Default},
		{&m.batchSeconds, "kafka_writer_batch_seconds", metrics.Trend, metrics.Time},
		{&m.batchSize, "kafka_writer_batch_size", metrics.Trend, metrics.Default},
		{&m.acksRequired, "kafka_writer_acks_required", metrics.Gauge, metrics.Default},
		{&m.fetches, "kafka_reader_fetches_count", metrics.Counter, metrics.Default},
		{&m.readerMessages, "kafka_reader_message_count", metrics.Counter, metrics.Default},
		{&m.readerBytes, "kafka_reader_message_bytes", metrics.Counter, metrics.Data},
		{&m.readerErrors, "kafka_reader_error_count", metrics.Counter, metrics.Default},
		{&m.readerTimeouts, "kafka_reader_timeouts_count", metrics.Counter, metrics.Default},
		{&m.rebalances, "kafka_reader_rebalance_count", metrics.Counter, metrics.Default},
		{&m.readSeconds, "kafka_reader_read_seconds", metrics.Trend, metrics.Time},
		{&m.lag, "kafka_reader_lag", metrics.Gauge, metrics.Default},
		{&m.offset, "kafka_reader_offset", metrics.Gauge, metrics.Default},
		{&m.endToEnd, "kafka_end_to_end_seconds", metrics.Trend, metrics.Time},
	} {
		metric, err := vu.InitEnv().Registry.NewMetric(def.name, def.kind, def.of)
		if err != nil {
			return nil, fmt.Errorf("register metric %s: %w", def.name, err)
		}
		*def.into = metric
	}
	return m, nil
}

// value is one sample without its time and tags.
type value struct {
	metric *metrics.Metric
	value  float64
}

// milliseconds is a duration as k6's time metrics have it.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// push gives k6 samples of one moment. In the init context there is nobody to
// take them.
func (i *instance) push(topic string, values ...value) {
	state := i.vu.State()
	if state == nil {
		return
	}
	now := time.Now()
	tags := state.Tags.GetCurrentValues().Tags.With("topic", topic)
	samples := metrics.ConnectedSamples{Time: now, Tags: tags}
	for _, v := range values {
		samples.Samples = append(samples.Samples, metrics.Sample{
			TimeSeries: metrics.TimeSeries{Metric: v.metric, Tags: tags}, Time: now, Value: v.value,
		})
	}
	metrics.PushIfNotDone(i.vu.Context(), state.Samples, samples)
}
