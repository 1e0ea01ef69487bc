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
	{Property: config.Property{Name: "client.id", Type: config.TypeString, Default: "", Effect: true,
		Doc: "The name that the client gives in every request; when empty the simulator names it."},
		Field: func(c *Consumer) any { return &c.ClientID }},
	{Property: config.Property{Name: "client.rack", Type: config.TypeString, Default: "", Effect: true,
		Doc: "The rack that the client says it is in; when empty the simulator uses its zone."},
		Field: func(c *Consumer) any { return &c.ClientRack }},
	{Property: config.Property{Name: "connections.max.idle.ms", Type: config.TypeLong, Default: "540000", Min: -1, Max: math.MaxInt64, Effect: true,
		Doc: "How long a connection may be silent before the client closes it."},
		Field: func(c *Consumer) any { return &c.ConnectionsMaxIdleMillis }},
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
	{Property: config.Property{Name: "metadata.max.age.ms", Type: config.TypeLong, Default: "300000", Max: math.MaxInt64, Effect: true,
		Doc: "How old metadata may become before the client asks again without a reason."},
		Field: func(c *Consumer) any { return &c.MetadataMaxAgeMillis }},
	{Property: config.Property{Name: "metadata.recovery.rebootstrap.trigger.ms", Type: config.TypeLong, Default: "300000", Max: math.MaxInt64, Effect: true,
		Doc: "How long without metadata before the client starts again from the bootstrap servers."},
		Field: func(c *Consumer) any { return &c.MetadataRebootstrapTriggerMillis }},
	{Property: config.Property{Name: "metadata.recovery.strategy", Type: config.TypeString, Default: "rebootstrap", Valid: recoveryNames[:], Effect: true,
		Doc: "Whether the client starts again from the bootstrap servers when no known broker answers."},
		Field: func(c *Consumer) any { return &c.MetadataRecovery }},
	{Property: config.Property{Name: "partition.assignment.strategy", Type: config.TypeList, Default: "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor", Valid: assignorNames[:], Effect: true,
		Doc: "How the group's leader shares out partitions, in order of preference."},
		Field: func(c *Consumer) any { return &c.Assignors }},
	{Property: config.Property{Name: "reconnect.backoff.max.ms", Type: config.TypeLong, Default: "1000", Max: math.MaxInt64, Effect: true,
		Doc: "The longest wait before connecting to the same broker again."},
		Field: func(c *Consumer) any { return &c.ReconnectBackoffMaxMillis }},
	{Property: config.Property{Name: "reconnect.backoff.ms", Type: config.TypeLong, Default: "50", Max: math.MaxInt64, Effect: true,
		Doc: "The first wait before connecting to the same broker again; it doubles with every failure."},
		Field: func(c *Consumer) any { return &c.ReconnectBackoffMillis }},
	{Property: config.Property{Name: "request.timeout.ms", Type: config.TypeInt, Default: "30000", Max: math.MaxInt32, Effect: true,
		Doc: "How long the client waits for an answer before it closes the connection."},
		Field: func(c *Consumer) any { return &c.RequestTimeoutMillis }},
	{Property: config.Property{Name: "retry.backoff.max.ms", Type: config.TypeLong, Default: "1000", Max: math.MaxInt64, Effect: true,
		Doc: "The longest wait between two tries of one request."},
		Field: func(c *Consumer) any { return &c.RetryBackoffMaxMillis }},
	{Property: config.Property{Name: "retry.backoff.ms", Type: config.TypeLong, Default: "100", Max: math.MaxInt64, Effect: true,
		Doc: "The first wait between two tries of one request; it doubles with every failure."},
		Field: func(c *Consumer) any { return &c.RetryBackoffMillis }},
	{Property: config.Property{Name: "session.timeout.ms", Type: config.TypeInt, Default: "45000", Min: 1, Max: math.MaxInt32, Effect: true,
		Doc: "How long the coordinator waits for a heartbeat before it removes the member."},
		Field: func(c *Consumer) any { return &c.SessionTimeoutMillis }},
	{Property: config.Property{Name: "socket.connection.setup.timeout.max.ms", Type: config.TypeLong, Default: "30000", Min: 1, Max: math.MaxInt64, Effect: true,
		Doc: "The longest time that the client gives a connection to come up."},
		Field: func(c *Consumer) any { return &c.ConnectionSetupTimeoutMaxMillis }},
	{Property: config.Property{Name: "socket.connection.setup.timeout.ms", Type: config.TypeLong, Default: "10000", Min: 1, Max: math.MaxInt64, Effect: true,
		Doc: "The time that the client first gives a connection to come up; it doubles with every failure."},
		Field: func(c *Consumer) any { return &c.ConnectionSetupTimeoutMillis }},
}, inertRows[Consumer]([]inert{
	{"the scenario's topics exist before its clients start", `
		allow.auto.create.topics`},
	{"every checksum is checked", `
		check.crcs`},
	{"the scenario decides it", `
		bootstrap.resolve.timeout.ms
		bootstrap.servers`},
	{"the simulated network has no DNS", `
		client.dns.lookup`},
	{"nothing reads it yet", `
		config.providers
		exclude.internal.topics
		interceptor.classes
		internal.throw.on.fetch.stable.offset.unsupported
		metadata.cluster.check.enable`},
	{"the simulator measures by itself", `
		enable.metrics.push
		metric.reporters
		metrics.num.samples
		metrics.recording.level
		metrics.sample.window.ms`},
	{"the consumer group protocol (KIP-848) is not implemented yet", `
		group.protocol
		group.remote.assignor`},
	{"the scenario makes keys and values", `
		key.deserializer
		value.deserializer`},
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
	{"share groups are not implemented yet", `
		share.acknowledgement.mode
		share.acquire.mode`},
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
}))
