// A steady load while somebody kills a zone's brokers from outside, as
// bench/k6/zone-failure.sh does: no record may fail or be missing, and the gap
// must be bounded.
//
//   K6_BROKERS=127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094 K6_REPLICATION_FACTOR=3 bin/k6 run bench/k6/zone-failure.js
import { check } from "k6";
import { DEFAULT_THRESHOLDS } from "k6/x/kafka";
import { clients, recreate, readAll, summary } from "./lib.js";

const topic = "k6-zone-failure";
const seconds = Number(__ENV.K6_SECONDS || 60);
const rate = Number(__ENV.K6_RATE || 1000);
const { admin, producer, consumer } = clients(topic, 30);

export const options = {
  scenarios: {
    produce: { executor: "per-vu-iterations", exec: "produce", vus: 1, iterations: 1, maxDuration: `${seconds + 200}s` },
    consume: { executor: "per-vu-iterations", exec: "consume", vus: 1, iterations: 1, maxDuration: `${seconds + 200}s` },
  },
  thresholds: {
    ...DEFAULT_THRESHOLDS,
    checks: ["rate==1.0"],
    // The session of a dead broker lasts 9 s, and an election a few more.
    kafka_writer_batch_seconds: ["max<20000"],
  },
};

export function setup() { recreate(admin, topic, 6, [{ configName: "min.insync.replicas", configValue: "2" }]); }

export function produce() {
  const g = producer.generate({ n: rate * seconds, size: 1024, rate });
  console.log(`${g.acked} acknowledged, ${g.failed} failed, slowest ${g.max} ms ${g.error}`);
  check(g, { "every record is acknowledged": (x) => x.failed === 0 && x.acked === rate * seconds });
}

export function consume() {
  // A record may be read twice when its reader changes; none may be missing.
  check(readAll(consumer, 25), { "no acknowledged record is missing": (n) => n >= rate * seconds });
}

export function teardown() { admin.deleteTopic(topic); }
export const handleSummary = summary;
