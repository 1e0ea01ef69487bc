package clientconfig

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
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
	{Property: config.Property{Name: "client.id", Type: config.TypeString, Default: "", Effect: true,
		Doc: "The name that the client gives in every request; when empty the simulator names it."},
		Field: func(c *Producer) any { return &c.ClientID }},
	{Property: config.Property{Name: "client.rack", Type: config.TypeString, Default: "", Effect: true,
		Doc: "The rack that the client says it is in; when empty the simulator uses its zone."},
		Field: func(c *Producer) any { return &c.ClientRack }},
	{Property: config.Property{Name: "compression.type", Type: config.TypeString, Default: "none", Valid: compressionNames[:], Effect: true,
		Doc: "The codec that batches are compressed with."},
		Field: func(c *Producer) any { return &c.Compression }},
	{Property: config.Property{Name: "connections.max.idle.ms", Type: config.TypeLong, Default: "540000", Min: -1, Max: math.MaxInt64, Effect: true,
		Doc: "How long a connection may be silent before the client closes it."},
		Field: func(c *Producer) any { return &c.ConnectionsMaxIdleMillis }},
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
	{Property: config.Property{Name: "metadata.max.age.ms", Type: config.TypeLong, Default: "300000", Max: math.MaxInt64, Effect: true,
		Doc: "How old metadata may become before the client asks again without a reason."},
		Field: func(c *Producer) any { return &c.MetadataMaxAgeMillis }},
	{Property: config.Property{Name: "metadata.recovery.rebootstrap.trigger.ms", Type: config.TypeLong, Default: "300000", Max: math.MaxInt64, Effect: true,
		Doc: "How long without metadata before the client starts again from the bootstrap servers."},
		Field: func(c *Producer) any { return &c.MetadataRebootstrapTriggerMillis }},
	{Property: config.Property{Name: "metadata.recovery.strategy", Type: config.TypeString, Default: "rebootstrap", Valid: recoveryNames[:], Effect: true,
		Doc: "Whether the client starts again from the bootstrap servers when no known broker answers."},
		Field: func(c *Producer) any { return &c.MetadataRecovery }},
	{Property: config.Property{Name: "partitioner.adaptive.partitioning.enable", Type: config.TypeBoolean, Default: "true", Effect: true,
		Doc: "Whether records without a key prefer partitions whose brokers are quick."},
		Field: func(c *Producer) any { return &c.PartitionerAdaptive }},
	{Property: config.Property{Name: "partitioner.class", Type: config.TypeClass, Null: true, Valid: partitionerNames[1:], Effect: true,
		Doc: "How a record's partition is chosen; unset is murmur2 of the key, and sticky without one."},
		Field: func(c *Producer) any { return &c.Partitioner }},
	{Property: config.Property{Name: "partitioner.ignore.keys", Type: config.TypeBoolean, Default: "false", Effect: true,
		Doc: "Whether records with a key are spread as if they had none."},
		Field: func(c *Producer) any { return &c.PartitionerIgnoreKeys }},
	{Property: config.Property{Name: "reconnect.backoff.max.ms", Type: config.TypeLong, Default: "1000", Max: math.MaxInt64, Effect: true,
		Doc: "The longest wait before connecting to the same broker again."},
		Field: func(c *Producer) any { return &c.ReconnectBackoffMaxMillis }},
	{Property: config.Property{Name: "reconnect.backoff.ms", Type: config.TypeLong, Default: "50", Max: math.MaxInt64, Effect: true,
		Doc: "The first wait before connecting to the same broker again; it doubles with every failure."},
		Field: func(c *Producer) any { return &c.ReconnectBackoffMillis }},
	{Property: config.Property{Name: "request.timeout.ms", Type: config.TypeInt, Default: "30000", Max: math.MaxInt32, Effect: true,
		Doc: "How long the client waits for an answer before it closes the connection."},
		Field: func(c *Producer) any { return &c.RequestTimeoutMillis }},
	{Property: config.Property{Name: "retries", Type: config.TypeInt, Default: "2147483647", Max: math.MaxInt32, Effect: true,
		Doc: "How often a batch is sent again after an error that may pass."},
		Field: func(c *Producer) any { return &c.Retries }},
	{Property: config.Property{Name: "retry.backoff.max.ms", Type: config.TypeLong, Default: "1000", Max: math.MaxInt64, Effect: true,
		Doc: "The longest wait between two tries of one request."},
		Field: func(c *Producer) any { return &c.RetryBackoffMaxMillis }},
	{Property: config.Property{Name: "retry.backoff.ms", Type: config.TypeLong, Default: "100", Max: math.MaxInt64, Effect: true,
		Doc: "The first wait between two tries of one request; it doubles with every failure."},
		Field: func(c *Producer) any { return &c.RetryBackoffMillis }},
	{Property: config.Property{Name: "socket.connection.setup.timeout.max.ms", Type: config.TypeLong, Default: "30000", Min: 1, Max: math.MaxInt64, Effect: true,
		Doc: "The longest time that the client gives a connection to come up."},
		Field: func(c *Producer) any { return &c.ConnectionSetupTimeoutMaxMillis }},
	{Property: config.Property{Name: "socket.connection.setup.timeout.ms", Type: config.TypeLong, Default: "10000", Min: 1, Max: math.MaxInt64, Effect: true,
		Doc: "The time that the client first gives a connection to come up; it doubles with every failure."},
		Field: func(c *Producer) any { return &c.ConnectionSetupTimeoutMillis }},
}, inertRows[Producer]([]inert{
	{"a producer writes one topic and never forgets it", `
		metadata.max.idle.ms`},
	{"records without a key do not avoid slow brokers yet", `
		partitioner.availability.timeout.ms`},
	{"the scenario decides it", `
		bootstrap.resolve.timeout.ms
		bootstrap.servers`},
	{"nothing reads it yet", `
		buffer.memory.allocation.strategy
		config.providers
		interceptor.classes
		metadata.cluster.check.enable
		partitioner.rack.aware`},
	{"the simulated network has no DNS", `
		client.dns.lookup`},
	{"codecs run at their default level", `
		compression.gzip.level
		compression.lz4.level
		compression.zstd.level`},
	{"the simulator measures by itself", `
		enable.metrics.push
		metric.reporters
		metrics.num.samples
		metrics.recording.level
		metrics.sample.window.ms`},
	{"the scenario makes keys and values", `
		key.serializer
		value.serializer`},
	{"the simulated network decides it", `
		receive.buffer.bytes
		send.buffer.bytes`},
	{"authentication is not spoken yet", `
		sasl.client.callback.handler.class
		sasl.jaas.config
		sasl.kerberos.kinit.cmd
		sasl.kerberos.min.time.before.relogin
		sasl.kerberos.service.name
		sasl.kerberos.ticket.renew.jitter
		sasl.kerberos.ticket.renew.window.factor
		sasl.login.callback.handler.class
		sasl.login.class
		sasl.login.connect.timeout.ms
		sasl.login.read.timeout.ms
		sasl.login.refresh.buffer.seconds
		sasl.login.refresh.min.period.seconds
		sasl.login.refresh.window.factor
		sasl.login.refresh.window.jitter
		sasl.login.retry.backoff.max.ms
		sasl.login.retry.backoff.ms
		sasl.mechanism
		sasl.oauthbearer.allow.unverified.audience
		sasl.oauthbearer.allow.unverified.issuer
		sasl.oauthbearer.assertion.algorithm
		sasl.oauthbearer.assertion.claim.aud
		sasl.oauthbearer.assertion.claim.exp.seconds
		sasl.oauthbearer.assertion.claim.iss
		sasl.oauthbearer.assertion.claim.jti.include
		sasl.oauthbearer.assertion.claim.nbf.seconds
		sasl.oauthbearer.assertion.claim.sub
		sasl.oauthbearer.assertion.file
		sasl.oauthbearer.assertion.private.key.file
		sasl.oauthbearer.assertion.private.key.passphrase
		sasl.oauthbearer.assertion.template.file
		sasl.oauthbearer.client.credentials.client.id
		sasl.oauthbearer.client.credentials.client.secret
		sasl.oauthbearer.clock.skew.seconds
		sasl.oauthbearer.expected.audience
		sasl.oauthbearer.expected.issuer
		sasl.oauthbearer.header.urlencode
		sasl.oauthbearer.jwks.endpoint.refresh.ms
		sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms
		sasl.oauthbearer.jwks.endpoint.retry.backoff.ms
		sasl.oauthbearer.jwks.endpoint.url
		sasl.oauthbearer.jwt.retriever.class
		sasl.oauthbearer.jwt.validator.class
		sasl.oauthbearer.scope
		sasl.oauthbearer.scope.claim.name
		sasl.oauthbearer.sub.claim.name
		sasl.oauthbearer.token.endpoint.url
		security.protocol
		security.providers`},
	{"TLS is not spoken yet", `
		ssl.cipher.suites
		ssl.enabled.protocols
		ssl.endpoint.identification.algorithm
		ssl.engine.factory.class
		ssl.key.password
		ssl.keymanager.algorithm
		ssl.keystore.certificate.chain
		ssl.keystore.key
		ssl.keystore.location
		ssl.keystore.password
		ssl.keystore.type
		ssl.protocol
		ssl.provider
		ssl.secure.random.implementation
		ssl.trustmanager.algorithm
		ssl.truststore.certificates
		ssl.truststore.location
		ssl.truststore.password
		ssl.truststore.type`},
	{"transactions are not implemented yet", `
		transaction.timeout.ms
		transaction.two.phase.commit.enable
		transactional.id`},
}))
