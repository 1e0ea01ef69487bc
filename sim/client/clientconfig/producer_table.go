package clientconfig

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

var producerTable = config.NewTable("producer property", []config.Row[Producer]{
	{Property: config.Property{Name: "acks", Type: config.TypeString, Default: "all", Valid: []string{"all", "-1", "0", "1"}, Effect: true,
		Doc: "How many replicas must have a batch before the leader acknowledges it."},
		Field: func(c *Producer) any { return &c.Acks }},
	{Property: config.Property{Name: "batch.size", Type: config.TypeInt, Default: "16384", Max: math.MaxInt32, Effect: true,
		Doc: "How many bytes of records for one partition go in a batch at most."},
		Field: func(c *Producer) any { return &c.BatchSizeBytes }},
	{Property: config.Property{Name: "buffer.memory", Type: config.TypeLong, Default: "33554432", Max: math.MaxInt64, Effect: true,
		Doc: "How many bytes of records may wait in the producer before send blocks."},
		Field: func(c *Producer) any { return &c.BufferMemoryBytes }},
	{Property: config.Property{Name: "compression.type", Type: config.TypeString, Default: "none", Valid: compressionNames[:], Effect: true,
		Doc: "The codec that batches are compressed with."},
		Field: func(c *Producer) any { return &c.Compression }},
	{Property: config.Property{Name: "delivery.timeout.ms", Type: config.TypeInt, Default: "120000", Max: math.MaxInt32, Effect: true,
		Doc: "How long after send a record is given up, retries included."},
		Field: func(c *Producer) any { return &c.DeliveryTimeoutMillis }},
	{Property: config.Property{Name: "enable.idempotence", Type: config.TypeBoolean, Default: "true", Effect: true,
		Doc: "Whether batches carry a producer id and sequence numbers, so that retries neither duplicate nor reorder."},
		Field: func(c *Producer) any { return &c.EnableIdempotence }},
	{Property: config.Property{Name: "linger.ms", Type: config.TypeLong, Default: "5", Max: math.MaxInt64, Effect: true,
		Doc: "How long a batch that is not full waits for more records."},
		Field: func(c *Producer) any { return &c.LingerMillis }},
	{Property: config.Property{Name: "max.block.ms", Type: config.TypeLong, Default: "60000", Max: math.MaxInt64, Effect: true,
		Doc: "How long send may block for metadata or buffer memory."},
		Field: func(c *Producer) any { return &c.MaxBlockMillis }},
	{Property: config.Property{Name: "max.in.flight.requests.per.connection", Type: config.TypeInt, Default: "5", Min: 1, Max: math.MaxInt32, Effect: true,
		Doc: "How many requests may be unanswered on one connection."},
		Field: func(c *Producer) any { return &c.MaxInFlight }},
	{Property: config.Property{Name: "max.request.size", Type: config.TypeInt, Default: "1048576", Max: math.MaxInt32, Effect: true,
		Doc: "The largest request, and with it the largest record."},
		Field: func(c *Producer) any { return &c.MaxRequestSizeBytes }},
	{Property: config.Property{Name: "partitioner.adaptive.partitioning.enable", Type: config.TypeBoolean, Default: "true", Effect: true,
		Doc: "Whether records without a key prefer partitions whose brokers are quick."},
		Field: func(c *Producer) any { return &c.PartitionerAdaptive }},
	{Property: config.Property{Name: "partitioner.class", Type: config.TypeClass, Null: true, Valid: partitionerNames[1:], Effect: true,
		Doc: "How a record's partition is chosen; unset is murmur2 of the key, and sticky without one."},
		Field: func(c *Producer) any { return &c.Partitioner }},
	{Property: config.Property{Name: "partitioner.ignore.keys", Type: config.TypeBoolean, Default: "false", Effect: true,
		Doc: "Whether records with a key are spread as if they had none."},
		Field: func(c *Producer) any { return &c.PartitionerIgnoreKeys }},
	{Property: config.Property{Name: "retries", Type: config.TypeInt, Default: "2147483647", Max: math.MaxInt32, Effect: true,
		Doc: "How often a batch is sent again after an error that may pass."},
		Field: func(c *Producer) any { return &c.Retries }},
}, config.LevelRows(func(p *Producer) *record.Levels { return &p.CompressionLevels }), commonRows(func(p *Producer) *Common { return &p.Common }), inertRows[Producer]([]inert{
	{"a producer writes one topic and never forgets it", `
		metadata.max.idle.ms`},
	{"records without a key do not avoid slow brokers yet", `
		partitioner.availability.timeout.ms`},
	{"nothing reads it yet", `
		buffer.memory.allocation.strategy
		partitioner.rack.aware`},
	{"the scenario makes keys and values", `
		key.serializer
		value.serializer`},
	{"transactions are not implemented yet", `
		transaction.timeout.ms
		transaction.two.phase.commit.enable
		transactional.id`},
}))
