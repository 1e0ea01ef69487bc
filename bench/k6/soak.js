// A steady load for a long time: what grows shows. Memory of this script does
// not: latencies go to histograms of fixed size.
//
//   K6_BROKERS=127.0.0.1:9092 K6_SECONDS=28800 K6_RATE=5000 bin/k6 run bench/k6/soak.js
import { check } from "k6";
import { DEFAULT_THRESHOLDS } from "k6/x/kafka";
import { clients, recreate, summary } from "./lib.js";

const topic = "k6-soak";
const duration = `${Number(__ENV.K6_SECONDS || 600)}s`; // K6_DURATION is one of k6's own
const rate = Number(__ENV.K6_RATE || 1000);
const size = Number(__ENV.K6_SIZE || 1024);
const { admin, producer, consumer } = clients(topic, 30);

export const options = {
  scenarios: {
    // An iteration is ten seconds of generated load; the next one is due when it ends.
    produce: { executor: "constant-arrival-rate", exec: "produce", rate: 1, timeUnit: "10s", duration, preAllocatedVUs: 2, gracefulStop: "150s" },
    consume: { executor: "constant-vus", exec: "consume", vus: 1, duration, gracefulStop: "60s" },
  },
  thresholds: { ...DEFAULT_THRESHOLDS, checks: ["rate==1.0"], kafka_writer_batch_seconds: ["p(99)<1000"], kafka_end_to_end_seconds: ["p(99)<2000"] },
};

export function setup() {
  recreate(admin, topic, 6, [{ configName: "retention.bytes", configValue: "1073741824" }]);
}

export function produce() {
  check(producer.generate({ n: 10 * rate, size, rate }), { "every record is acknowledged": (g) => g.failed === 0 });
}

export function consume() {
  consumer.count({ n: rate, timeout: "5s", expectTimeout: true });
  consumer.commitOffsets();
}

export function teardown() { admin.deleteTopic(topic); }
export const handleSummary = summary;
