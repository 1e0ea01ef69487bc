// A minute-long look at whether everything works: an admin makes a topic, VUs
// produce at a fixed rate, a group reads it all.
//
//   K6_BROKERS=127.0.0.1:9092 bin/k6 run bench/k6/smoke.js
import { check } from "k6";
import { Producer, Consumer, AdminClient, DEFAULT_THRESHOLDS, latencies } from "k6/x/kafka";

const brokers = (__ENV.K6_BROKERS || "127.0.0.1:9092").split(",");
const topic = __ENV.K6_TOPIC || "k6-smoke";
const replicationFactor = Number(__ENV.K6_REPLICATION_FACTOR || 1);
const seconds = Number(__ENV.K6_SECONDS || 10);
const rate = 100; // produce calls a second, of ten messages each
const total = rate * seconds * 10;

export const options = {
  scenarios: {
    produce: { executor: "constant-arrival-rate", exec: "produce", rate, timeUnit: "1s", duration: `${seconds}s`, preAllocatedVUs: 2 * rate },
    consume: { executor: "per-vu-iterations", exec: "consume", vus: 1, iterations: 1, maxDuration: `${seconds + 30}s` },
  },
  thresholds: {
    ...DEFAULT_THRESHOLDS,
    kafka_writer_message_count: [`count>=${total}`],
    kafka_reader_message_count: [`count>=${total}`],
    kafka_writer_batch_seconds: [`p(99)<${__ENV.K6_P99_MS || 1000}`],
    checks: ["rate==1.0"],
  },
  summaryTrendStats: ["min", "med", "p(95)", "p(99)", "max"],
};

const producer = new Producer({ brokers, topic });
const consumer = new Consumer({ brokers, topic, groupId: `${topic}-readers`, maxWait: `${seconds + 20}s` });
const admin = new AdminClient({ brokers });

export function setup() {
  if (admin.listTopics().some((t) => t.topic === topic)) {
    admin.deleteTopic(topic);
  }
  admin.createTopic({ topic, numPartitions: 4, replicationFactor });
}

export function produce() {
  const messages = [];
  for (let n = 0; n < 10; n++) {
    messages.push({ key: `vu-${__VU}`, value: `iteration ${__ITER}, message ${n}` });
  }
  producer.produce({ messages });
}

export function consume() {
  const messages = consumer.consume({ maxMessages: 10 });
  check(messages, {
    "ten messages": (m) => m.length === 10,
    "their values are bytes": (m) => String.fromCharCode(...m[0].value).startsWith("iteration "),
  });
  const rest = total - messages.length;
  check(consumer.count({ n: rest }), { "every other message": (n) => n === rest });
  consumer.close();
}

export function teardown() {
  admin.deleteTopic(topic);
}

export function handleSummary(data) {
  const out = { "stdout": text(data) };
  if (__ENV.K6_SUMMARY) {
    out[__ENV.K6_SUMMARY] = JSON.stringify({ latencies: latencies(), metrics: data.metrics }, null, 2);
  }
  return out;
}

function text(data) {
  const line = (name, l) => `  ${name.padEnd(12)} ${l.count} records, p50 ${l.p50} p95 ${l.p95} p99 ${l.p99} p99.9 ${l.p999} max ${l.max} ms\n`;
  let s = "\nlatency from the intended send\n";
  for (const [name, l] of Object.entries(latencies())) {
    s += line(name, l);
  }
  for (const [name, m] of Object.entries(data.metrics)) {
    for (const [threshold, t] of Object.entries(m.thresholds || {})) {
      s += `  ${t.ok ? "✓" : "✗"} ${name} ${threshold}\n`;
    }
  }
  return s;
}
