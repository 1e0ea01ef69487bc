package config

import (
	"slices"
	"strings"
)

// inert is a group of properties that Kafka knows and nothing here acts upon,
// with the one reason that they share.
type inert struct {
	why   string
	names string
}

func inertRows[T any](groups []inert) []Row[T] {
	var rows []Row[T]
	for _, group := range groups {
		for _, name := range strings.Fields(group.names) {
			rows = append(rows, Row[T]{Property: Property{Name: name, Type: TypeString, Doc: group.why}})
		}
	}
	return rows
}

func inertTopicRows() []Row[Topic] {
	return inertRows[Topic]([]inert{
		{"share groups are not implemented yet", `
			errors.deadletterqueue.group.enable`},
		{"quotas are not implemented yet", `
			follower.replication.throttled.replicas
			leader.replication.throttled.replicas`},
		{"tiered storage is not implemented yet", `
			local.retention.bytes
			local.retention.ms
			remote.copy.lag.bytes
			remote.copy.lag.ms
			remote.log.copy.disable
			remote.log.delete.on.disable
			remote.storage.enable`},
		{"decompression is bounded by max.message.bytes", `
			max.decompressed.message.bytes`},
	})
}

func inertBrokerRows() []Row[Broker] {
	return inertRows[Broker]([]inert{
		// They are refused in a scenario only: ParseSettings takes them out before.
		{"the scenario decides it; brokerd has it", strings.Join(slices.Concat(nodeTable.names, tlsTable.names, saslTable.names), " ")},
		{"transactions are not implemented yet", `
			add.partitions.to.txn.retry.backoff.max.ms
			add.partitions.to.txn.retry.backoff.ms
			transaction.abort.timed.out.transaction.cleanup.interval.ms
			transaction.max.timeout.ms
			transaction.partition.verification.enable
			transaction.remove.expired.transaction.cleanup.interval.ms
			transaction.state.log.load.buffer.size
			transaction.state.log.min.isr
			transaction.state.log.num.partitions
			transaction.state.log.replication.factor
			transaction.state.log.segment.bytes
			transaction.two.phase.commit.enable
			transactional.id.expiration.ms`},
		{"the operating system or the host decides it", `
			controller.quorum.bootstrap.servers
			early.start.listeners
			log.dir.failure.timeout.ms
			metadata.log.dir
			replica.socket.receive.buffer.bytes
			socket.connection.setup.timeout.max.ms
			socket.connection.setup.timeout.ms
			socket.listen.backlog.size
			socket.receive.buffer.bytes
			socket.send.buffer.bytes`},
		{"nothing reads it yet", `
			alter.config.policy.class.name
			config.providers
			create.topic.policy.class.name
			delete.records.purgatory.purge.interval.requests
			fetch.purgatory.purge.interval.requests
			initial.broker.registration.timeout.ms
			offsets.load.buffer.size
			offsets.topic.compression.codec
			producer.purgatory.purge.interval.requests
			server.max.startup.time.ms
			unstable.api.versions.enable
			unstable.feature.versions.enable`},
		{"a node has one log directory", `
			alter.log.dirs.replication.quota.window.num
			alter.log.dirs.replication.quota.window.size.seconds
			cordoned.log.dirs`},
		{"principals are made as Kafka's default builder does", `
			principal.builder.class`},
		{"the core of a node is single-threaded", `
			background.threads
			num.io.threads
			num.network.threads
			num.recovery.threads.per.data.dir
			num.replica.alter.log.dirs.threads
			num.replica.fetchers`},
		{"quotas are not implemented yet", `
			client.quota.callback.class
			controller.quota.window.num
			controller.quota.window.size.seconds
			quota.window.num
			quota.window.size.seconds
			replication.quota.window.num
			replication.quota.window.size.seconds`},
		{"it belongs to mechanisms, logins or token requests that do not exist here", `
			delegation.token.expiry.check.interval.ms
			delegation.token.expiry.time.ms
			delegation.token.max.lifetime.ms
			delegation.token.secret.key
			sasl.client.callback.handler.class
			sasl.jaas.config
			sasl.kerberos.kinit.cmd
			sasl.kerberos.min.time.before.relogin
			sasl.kerberos.principal.to.local.rules
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
			sasl.oauthbearer.jwt.retriever.class
			sasl.oauthbearer.jwt.validator.class
			sasl.oauthbearer.scope
			sasl.server.callback.handler.class
			security.inter.broker.protocol
			security.providers`},
		{"metrics are reported by the simulator and the host", `
			controller.performance.always.log.threshold.ms
			controller.performance.sample.period.ms
			kafka.metrics.polling.interval.secs
			kafka.metrics.reporters
			metric.reporters
			metrics.num.samples
			metrics.recording.level
			metrics.sample.window.ms
			telemetry.max.bytes`},
		{"the metadata log is kept by our own Raft library", `
			controller.quorum.append.linger.ms
			controller.quorum.auto.join.enable
			controller.quorum.election.backoff.max.ms
			controller.quorum.fetch.max.bytes
			controller.quorum.fetch.snapshot.max.bytes
			controller.quorum.retry.backoff.ms
			internal.metadata.delete.delay.millis
			internal.metadata.log.segment.bytes
			internal.metadata.max.batch.size.in.bytes
			metadata.log.max.snapshot.interval.ms
			metadata.log.segment.bytes
			metadata.log.segment.ms
			metadata.max.idle.interval.ms
			metadata.max.retention.bytes
			metadata.max.retention.ms`},
		{"share groups are not implemented yet", `
			errors.deadletterqueue.auto.create.topics.enable
			errors.deadletterqueue.topic.name.prefix
			group.share.assignment.interval.ms
			group.share.assignor.offload.enable
			group.share.assignors
			group.share.delivery.count.limit
			group.share.dlq.manager.class.name
			group.share.heartbeat.interval.ms
			group.share.initialize.retry.interval.ms
			group.share.max.assignment.interval.ms
			group.share.max.delivery.count.limit
			group.share.max.heartbeat.interval.ms
			group.share.max.partition.max.record.locks
			group.share.max.record.lock.duration.ms
			group.share.max.session.timeout.ms
			group.share.max.share.sessions
			group.share.max.size
			group.share.min.assignment.interval.ms
			group.share.min.delivery.count.limit
			group.share.min.heartbeat.interval.ms
			group.share.min.partition.max.record.locks
			group.share.min.record.lock.duration.ms
			group.share.min.session.timeout.ms
			group.share.partition.max.record.locks
			group.share.persister.class.name
			group.share.record.lock.duration.ms
			group.share.session.timeout.ms
			share.coordinator.append.linger.ms
			share.coordinator.cached.buffer.max.bytes
			share.coordinator.cold.partition.snapshot.interval.ms
			share.coordinator.load.buffer.size
			share.coordinator.snapshot.update.records.per.snapshot
			share.coordinator.state.topic.compression.codec
			share.coordinator.state.topic.min.isr
			share.coordinator.state.topic.num.partitions
			share.coordinator.state.topic.prune.interval.ms
			share.coordinator.state.topic.replication.factor
			share.coordinator.state.topic.segment.bytes
			share.coordinator.threads
			share.coordinator.write.timeout.ms
			share.fetch.purgatory.purge.interval.requests`},
		{"tiered storage is not implemented yet", `
			follower.fetch.last.tiered.offset.enable
			log.local.retention.bytes
			log.local.retention.ms
			log.remote.copy.lag.bytes
			log.remote.copy.lag.ms
			remote.fetch.max.wait.ms
			remote.list.offsets.request.timeout.ms
			remote.log.index.file.cache.total.size.bytes
			remote.log.index.file.cache.ttl.ms
			remote.log.manager.copier.thread.pool.size
			remote.log.manager.copy.max.bytes.per.second
			remote.log.manager.copy.quota.window.num
			remote.log.manager.copy.quota.window.size.seconds
			remote.log.manager.expiration.thread.pool.size
			remote.log.manager.fetch.max.bytes.per.second
			remote.log.manager.fetch.quota.window.num
			remote.log.manager.fetch.quota.window.size.seconds
			remote.log.manager.follower.thread.pool.size
			remote.log.manager.task.interval.ms
			remote.log.manager.task.retry.backoff.max.ms
			remote.log.manager.task.retry.backoff.ms
			remote.log.manager.task.retry.jitter
			remote.log.manager.thread.pool.size
			remote.log.metadata.custom.metadata.max.bytes
			remote.log.metadata.manager.class.name
			remote.log.metadata.manager.class.path
			remote.log.metadata.manager.impl.prefix
			remote.log.metadata.manager.listener.name
			remote.log.reader.max.pending.tasks
			remote.log.reader.threads
			remote.log.storage.manager.class.name
			remote.log.storage.manager.class.path
			remote.log.storage.manager.impl.prefix
			remote.log.storage.system.enable`},
		{"the consumer group protocol (KIP-848) is not implemented yet", `
			group.consumer.assignment.interval.ms
			group.consumer.assignor.offload.enable
			group.consumer.assignors
			group.consumer.heartbeat.interval.ms
			group.consumer.max.assignment.interval.ms
			group.consumer.max.heartbeat.interval.ms
			group.consumer.max.session.timeout.ms
			group.consumer.max.size
			group.consumer.migration.policy
			group.consumer.min.assignment.interval.ms
			group.consumer.min.heartbeat.interval.ms
			group.consumer.min.session.timeout.ms
			group.consumer.regex.refresh.interval.ms
			group.consumer.session.timeout.ms`},
		{"the core of a node is single-threaded and has no such queue", `
			group.coordinator.append.linger.ms
			group.coordinator.background.threads
			group.coordinator.cached.buffer.max.bytes
			group.coordinator.rebalance.protocols
			group.coordinator.threads
			queued.max.requests`},
		{"streams groups are not implemented yet", `
			group.streams.acceptable.recovery.lag
			group.streams.assignment.interval.ms
			group.streams.assignor.offload.enable
			group.streams.assignors
			group.streams.heartbeat.interval.ms
			group.streams.initial.rebalance.delay.ms
			group.streams.max.assignment.interval.ms
			group.streams.max.heartbeat.interval.ms
			group.streams.max.session.timeout.ms
			group.streams.max.size
			group.streams.max.standby.replicas
			group.streams.max.warmup.replicas
			group.streams.min.assignment.interval.ms
			group.streams.min.heartbeat.interval.ms
			group.streams.min.session.timeout.ms
			group.streams.min.task.offset.interval.ms
			group.streams.num.standby.replicas
			group.streams.num.warmup.replicas
			group.streams.rack.aware.assignment.tags
			group.streams.session.timeout.ms
			group.streams.task.offset.interval.ms
			group.streams.topology.description.plugin.class`},
		{"a node compacts one log at a time, in bounded steps", `
			log.cleaner.enable
			log.cleaner.io.buffer.load.factor
			log.cleaner.io.buffer.size
			log.cleaner.io.max.bytes.per.second
			log.cleaner.threads`},
		{"connections are limited by max.connections and max.connections.per.ip only", `
			max.connection.creation.rate
			max.connections.per.ip.overrides`},
		{"decompression is bounded by max.message.bytes", `
			max.decompressed.message.bytes`},
		{"TLS is that of Go, and keys are in PEM files", `
			ssl.allow.dn.changes
			ssl.allow.san.changes
			ssl.cipher.suites
			ssl.enabled.protocols
			ssl.engine.factory.class
			ssl.keymanager.algorithm
			ssl.keystore.certificate.chain
			ssl.keystore.key
			ssl.keystore.password
			ssl.protocol
			ssl.provider
			ssl.secure.random.implementation
			ssl.trustmanager.algorithm
			ssl.truststore.certificates
			ssl.truststore.password`},
	})
}
