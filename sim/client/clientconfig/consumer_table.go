package clientconfig

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

var consumerTable = config.NewTable("consumer property", []config.Row[Consumer]{
	{Property: config.Property{Name: "auto.commit.interval.ms", Type: config.TypeInt, Default: "5000", Max: math.MaxInt32, Effect: true,
		Doc: "How often offsets are committed when enable.auto.commit is on."},
		Field: func(c *Consumer) any { return &c.AutoCommitIntervalMillis }},
	{Property: config.Property{Name: "auto.offset.reset", Type: config.TypeString, Default: "latest", Valid: resetNames[:], Effect: true,
		Doc: "Where to read from when there is no committed offset or it is out of range."},
		Field: func(c *Consumer) any { return &c.AutoOffsetReset }},
	{Property: config.Property{Name: "default.api.timeout.ms", Type: config.TypeInt, Default: "60000", Max: math.MaxInt32, Effect: true,
		Doc: "How long calls such as commit try before they fail."},
		Field: func(c *Consumer) any { return &c.DefaultAPITimeoutMillis }},
	{Property: config.Property{Name: "enable.auto.commit", Type: config.TypeBoolean, Default: "true", Effect: true,
		Doc: "Whether the consumer commits what it was given by itself."},
		Field: func(c *Consumer) any { return &c.EnableAutoCommit }},
	{Property: config.Property{Name: "fetch.max.bytes", Type: config.TypeInt, Default: "52428800", Max: math.MaxInt32, Effect: true,
		Doc: "The most bytes that the consumer asks for in one Fetch."},
		Field: func(c *Consumer) any { return &c.FetchMaxBytes }},
	{Property: config.Property{Name: "fetch.max.wait.ms", Type: config.TypeInt, Default: "500", Max: math.MaxInt32, Effect: true,
		Doc: "How long a broker may hold a Fetch that has less than fetch.min.bytes."},
		Field: func(c *Consumer) any { return &c.FetchMaxWaitMillis }},
	{Property: config.Property{Name: "fetch.min.bytes", Type: config.TypeInt, Default: "1", Max: math.MaxInt32, Effect: true,
		Doc: "The bytes that a Fetch waits for."},
		Field: func(c *Consumer) any { return &c.FetchMinBytes }},
	{Property: config.Property{Name: "group.id", Type: config.TypeString, Null: true, Effect: true,
		Doc: "The group to join; the scenario's group key sets it."},
		Field: func(c *Consumer) any { return &c.GroupID }},
	{Property: config.Property{Name: "group.instance.id", Type: config.TypeString, Null: true, Effect: true,
		Doc: "The name of a static member (KIP-345); the scenario's instance_ids key sets one for each consumer."},
		Field: func(c *Consumer) any { return &c.GroupInstanceID }},
	{Property: config.Property{Name: "heartbeat.interval.ms", Type: config.TypeInt, Default: "3000", Min: 1, Max: math.MaxInt32, Effect: true,
		Doc: "How often a member tells the coordinator that it lives."},
		Field: func(c *Consumer) any { return &c.HeartbeatIntervalMillis }},
	{Property: config.Property{Name: "isolation.level", Type: config.TypeString, Default: "read_uncommitted", Valid: isolationNames[:], NotYet: []string{"read_committed"}, Effect: true,
		Doc: "Whether records of open and aborted transactions are delivered."},
		Field: func(c *Consumer) any { return &c.Isolation }},
	{Property: config.Property{Name: "max.partition.fetch.bytes", Type: config.TypeInt, Default: "1048576", Max: math.MaxInt32, Effect: true,
		Doc: "The most bytes that the consumer asks for per partition."},
		Field: func(c *Consumer) any { return &c.MaxPartitionFetchBytes }},
	{Property: config.Property{Name: "max.poll.interval.ms", Type: config.TypeInt, Default: "300000", Min: 1, Max: math.MaxInt32, Effect: true,
		Doc: "How long the application may take between two polls before the member leaves the group."},
		Field: func(c *Consumer) any { return &c.MaxPollIntervalMillis }},
	{Property: config.Property{Name: "max.poll.records", Type: config.TypeInt, Default: "500", Min: 1, Max: math.MaxInt32, Effect: true,
		Doc: "The most records that one poll returns."},
		Field: func(c *Consumer) any { return &c.MaxPollRecords }},
	{Property: config.Property{Name: "partition.assignment.strategy", Type: config.TypeList, Default: "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor", Valid: assignorNames[:], Effect: true,
		Doc: "How the group's leader shares out partitions, in order of preference."},
		Field: func(c *Consumer) any { return &c.Assignors }},
	{Property: config.Property{Name: "session.timeout.ms", Type: config.TypeInt, Default: "45000", Min: 1, Max: math.MaxInt32, Effect: true,
		Doc: "How long the coordinator waits for a heartbeat before it removes the member."},
		Field: func(c *Consumer) any { return &c.SessionTimeoutMillis }},
}, commonRows(func(c *Consumer) *Common { return &c.Common }), inertRows[Consumer]([]inert{
	{"the scenario's topics exist before its clients start", `
		allow.auto.create.topics`},
	{"every checksum is checked", `
		check.crcs`},
	{"nothing reads it yet", `
		exclude.internal.topics
		internal.throw.on.fetch.stable.offset.unsupported`},
	{"the consumer group protocol (KIP-848) is not implemented yet", `
		group.protocol
		group.remote.assignor`},
	{"the scenario makes keys and values", `
		key.deserializer
		value.deserializer`},
	{"share groups are not implemented yet", `
		share.acknowledgement.mode
		share.acquire.mode`},
}))
