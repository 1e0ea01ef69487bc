// Package kafka is the k6 module k6/x/kafka: producers, consumers and an admin
// client for load tests, in the shape that users of xk6-kafka v2 know, on
// franz-go.
//
// What it does differently, on purpose: producers wait for all in-sync replicas
// unless told otherwise; producers of the same configuration share one client
// over all VUs; records can be generated in Go at a given rate, their latency
// counted from the intended send in a histogram of fixed size, since a k6 Trend
// keeps every sample; every wait has an end.
package kafka

import (
	"github.com/grafana/sobek"
	"go.k6.io/k6/js/common"
	"go.k6.io/k6/js/modules"
)

func init() { modules.Register("k6/x/kafka", New()) }

// Root is what all VUs of a test share.
type Root struct {
	clients   *clients
	latencies *latencies
}

var _ modules.Module = (*Root)(nil)

// New returns the module.
func New() *Root { return &Root{clients: newClients(), latencies: newLatencies()} }

// instance is the module in one VU.
type instance struct {
	root    *Root
	vu      modules.VU
	metrics *kafkaMetrics
}

// NewModuleInstance implements modules.Module.
func (r *Root) NewModuleInstance(vu modules.VU) modules.Instance {
	m, err := registerMetrics(vu)
	if err != nil {
		common.Throw(vu.Runtime(), err)
	}
	r.clients.closeAtExit(vu, r.latencies)
	return &instance{root: r, vu: vu, metrics: m}
}

// Exports implements modules.Instance.
func (i *instance) Exports() modules.Exports {
	named := map[string]any{
		"Producer": i.newProducer, "Consumer": i.newConsumer, "AdminClient": i.newAdminClient,
		// The names before v2.
		"Writer": i.newProducer, "Reader": i.newConsumer, "Connection": i.newConnection,
		"latencies": i.root.latencies.summary,
		// Thresholds that a load test should have whatever it tests: without the
		// first one, load that was never offered passes as success.
		"DEFAULT_THRESHOLDS": map[string][]string{
			"dropped_iterations": {"count==0"}, "kafka_writer_error_count": {"count==0"}, "kafka_reader_error_count": {"count==0"},
		},
	}
	for name, value := range constants {
		named[name] = value
	}
	return modules.Exports{Named: named}
}

// object makes a Go value the JavaScript object of a constructor call.
func (i *instance) object(call sobek.ConstructorCall, v any) *sobek.Object {
	o := i.vu.Runtime().ToValue(v).ToObject(i.vu.Runtime())
	if err := o.SetPrototype(call.This.Prototype()); err != nil {
		i.throw(err)
	}
	return o
}

// throw ends the JavaScript call with an exception.
func (i *instance) throw(err error) { common.Throw(i.vu.Runtime(), err) }

// constants are xk6-kafka's.
var constants = map[string]string{
	"CODEC_GZIP": "gzip", "CODEC_SNAPPY": "snappy", "CODEC_LZ4": "lz4", "CODEC_ZSTD": "zstd",
	"NONE": "none", "SASL_PLAIN": "sasl_plain", "SASL_SSL": "sasl_ssl",
	"SASL_SCRAM_SHA256": "sasl_scram_sha256", "SASL_SCRAM_SHA512": "sasl_scram_sha512",
	"TLS_1_2": "tlsv1.2", "TLS_1_3": "tlsv1.3",
	"ISOLATION_LEVEL_READ_UNCOMMITTED": "isolation_level_read_uncommitted",
	"ISOLATION_LEVEL_READ_COMMITTED":   "isolation_level_read_committed",
	"START_OFFSETS_FIRST_OFFSET":       "start_offsets_first_offset", "START_OFFSETS_LAST_OFFSET": "start_offsets_last_offset",
	"FIRST_OFFSET": "start_offsets_first_offset", "LAST_OFFSET": "start_offsets_last_offset",
	"BALANCER_ROUND_ROBIN": "balancer_roundrobin", "BALANCER_MURMUR2": "balancer_murmur2",
	"GROUP_BALANCER_RANGE": "group_balancer_range", "GROUP_BALANCER_ROUND_ROBIN": "group_balancer_round_robin",
	"GROUP_BALANCER_COOPERATIVE_STICKY": "group_balancer_cooperative_sticky",
}
