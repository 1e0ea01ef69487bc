// What the longer scripts share: generated load with latency from the intended
// send, and a summary.
import { check } from "k6";
import { Producer, Consumer, AdminClient, latencies } from "k6/x/kafka";

export const brokers = (__ENV.K6_BROKERS || "127.0.0.1:9092").split(",");
export const replicationFactor = Number(__ENV.K6_REPLICATION_FACTOR || 1);

// security reads TLS and SASL from the environment, for init contexts:
// K6_TLS_CA (a file), K6_SASL (sasl_plain, ...), K6_USERNAME, K6_PASSWORD.
export function security() {
  const s = {};
  if (__ENV.K6_TLS_CA) {
    s.tls = { enableTls: true, serverCaPem: open(__ENV.K6_TLS_CA) };
  }
  if (__ENV.K6_SASL) {
    s.sasl = { algorithm: __ENV.K6_SASL, username: __ENV.K6_USERNAME, password: __ENV.K6_PASSWORD };
  }
  return s;
}

export function clients(topic, waitSeconds) {
  const connection = { brokers, ...security() };
  return {
    admin: new AdminClient(connection),
    producer: new Producer({ ...connection, topic, deliveryTimeout: "120s" }),
    consumer: new Consumer({ ...connection, topic, groupId: `${topic}-readers`, maxWait: `${waitSeconds}s` }),
  };
}

export function recreate(admin, topic, numPartitions, configEntries = []) {
  if (admin.listTopics().some((t) => t.topic === topic)) {
    admin.deleteTopic(topic);
  }
  admin.createTopic({ topic, numPartitions, replicationFactor, configEntries });
}

// readAll counts until nothing has come for quietSeconds, or for K6_QUIET_SECONDS
// if that is set; every acknowledged record must have.
export function readAll(consumer, quietSeconds) {
  const quiet = Number(__ENV.K6_QUIET_SECONDS || quietSeconds);
  let total = 0;
  for (;;) {
    const n = consumer.count({ n: 1000000, timeout: `${quiet}s`, expectTimeout: true });
    total += n;
    if (n === 0) {
      return total;
    }
  }
}

export function summary(data) {
  const count = (name) => (data.metrics[name] ? data.metrics[name].values.count : 0);
  let s = `\n${count("kafka_writer_message_count")} acknowledged, ${count("kafka_reader_message_count")} read, ${count("kafka_writer_error_count")} failed\n`;
  s += "latency from the intended send, ms\n";
  for (const [name, l] of Object.entries(latencies())) {
    s += `  ${name.padEnd(12)} p50 ${l.p50} p95 ${l.p95} p99 ${l.p99} p99.9 ${l.p999} max ${l.max} (${l.count} records)\n`;
  }
  for (const [name, m] of Object.entries(data.metrics)) {
    for (const [threshold, t] of Object.entries(m.thresholds || {})) {
      s += `  ${t.ok ? "✓" : "✗"} ${name} ${threshold}\n`;
    }
  }
  const out = { stdout: s };
  if (__ENV.K6_SUMMARY) {
    out[__ENV.K6_SUMMARY] = JSON.stringify({ latencies: latencies(), metrics: data.metrics }, null, 2);
  }
  return out;
}
