package clientconfig

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// commonRows are the properties that producers and consumers share; common finds
// their fields.
func commonRows[T any](common func(*T) *Common) []config.Row[T] {
	rows := inertRows[T](commonInert)
	for _, row := range commonTable {
		rows = append(rows, config.Row[T]{Property: row.Property, Field: func(c *T) any { return row.Field(common(c)) }})
	}
	return rows
}

var commonTable = []config.Row[Common]{
	{Property: config.Property{Name: "client.id", Type: config.TypeString, Default: "", Effect: true,
		Doc: "The name that the client gives in every request; when empty the simulator names it."},
		Field: func(c *Common) any { return &c.ClientID }},
	{Property: config.Property{Name: "client.rack", Type: config.TypeString, Default: "", Effect: true,
		Doc: "The rack that the client says it is in; when empty the simulator uses its zone."},
		Field: func(c *Common) any { return &c.ClientRack }},
	{Property: config.Property{Name: "connections.max.idle.ms", Type: config.TypeLong, Default: "540000", Min: -1, Max: math.MaxInt64, Effect: true,
		Doc: "How long a connection may be silent before the client closes it."},
		Field: func(c *Common) any { return &c.ConnectionsMaxIdleMillis }},
	{Property: config.Property{Name: "metadata.max.age.ms", Type: config.TypeLong, Default: "300000", Max: math.MaxInt64, Effect: true,
		Doc: "How old metadata may become before the client asks again without a reason."},
		Field: func(c *Common) any { return &c.MetadataMaxAgeMillis }},
	{Property: config.Property{Name: "metadata.recovery.rebootstrap.trigger.ms", Type: config.TypeLong, Default: "300000", Max: math.MaxInt64, Effect: true,
		Doc: "How long without metadata before the client starts again from the bootstrap servers."},
		Field: func(c *Common) any { return &c.MetadataRebootstrapTriggerMillis }},
	{Property: config.Property{Name: "metadata.recovery.strategy", Type: config.TypeString, Default: "rebootstrap", Valid: recoveryNames[:], Effect: true,
		Doc: "Whether the client starts again from the bootstrap servers when no known broker answers."},
		Field: func(c *Common) any { return &c.MetadataRecovery }},
	{Property: config.Property{Name: "reconnect.backoff.max.ms", Type: config.TypeLong, Default: "1000", Max: math.MaxInt64, Effect: true,
		Doc: "The longest wait before connecting to the same broker again."},
		Field: func(c *Common) any { return &c.ReconnectBackoffMaxMillis }},
	{Property: config.Property{Name: "reconnect.backoff.ms", Type: config.TypeLong, Default: "50", Max: math.MaxInt64, Effect: true,
		Doc: "The first wait before connecting to the same broker again; it doubles with every failure."},
		Field: func(c *Common) any { return &c.ReconnectBackoffMillis }},
	{Property: config.Property{Name: "request.timeout.ms", Type: config.TypeInt, Default: "30000", Max: math.MaxInt32, Effect: true,
		Doc: "How long the client waits for an answer before it closes the connection."},
		Field: func(c *Common) any { return &c.RequestTimeoutMillis }},
	{Property: config.Property{Name: "retry.backoff.max.ms", Type: config.TypeLong, Default: "1000", Max: math.MaxInt64, Effect: true,
		Doc: "The longest wait between two tries of one request."},
		Field: func(c *Common) any { return &c.RetryBackoffMaxMillis }},
	{Property: config.Property{Name: "retry.backoff.ms", Type: config.TypeLong, Default: "100", Max: math.MaxInt64, Effect: true,
		Doc: "The first wait between two tries of one request; it doubles with every failure."},
		Field: func(c *Common) any { return &c.RetryBackoffMillis }},
	{Property: config.Property{Name: "socket.connection.setup.timeout.max.ms", Type: config.TypeLong, Default: "30000", Min: 1, Max: math.MaxInt64, Effect: true,
		Doc: "The longest time that the client gives a connection to come up."},
		Field: func(c *Common) any { return &c.ConnectionSetupTimeoutMaxMillis }},
	{Property: config.Property{Name: "socket.connection.setup.timeout.ms", Type: config.TypeLong, Default: "10000", Min: 1, Max: math.MaxInt64, Effect: true,
		Doc: "The time that the client first gives a connection to come up; it doubles with every failure."},
		Field: func(c *Common) any { return &c.ConnectionSetupTimeoutMillis }},
}

var commonInert = []inert{
	{"the scenario decides it", `
		bootstrap.resolve.timeout.ms
		bootstrap.servers`},
	{"a name has one address in the simulated network", `
		client.dns.lookup`},
	{"nothing reads it yet", `
		config.providers
		interceptor.classes
		metadata.cluster.check.enable`},
	{"the simulator measures by itself", `
		enable.metrics.push
		metric.reporters
		metrics.num.samples
		metrics.recording.level
		metrics.sample.window.ms`},
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
}
