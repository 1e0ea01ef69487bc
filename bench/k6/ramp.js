// Load that grows in steps until the cluster no longer takes it: the step whose
// latency explodes is the one after the last that it could.
//
//   K6_BROKERS=127.0.0.1:9092 K6_RATES=1000,5000,20000,50000 bin/k6 run bench/k6/ramp.js
import { check } from "k6";
import { DEFAULT_THRESHOLDS } from "k6/x/kafka";
import { clients, recreate, readAll, summary } from "./lib.js";

const topic = "k6-ramp";
const rates = (__ENV.K6_RATES || "1000,5000,10000,20000").split(",").map(Number);
const stepSeconds = Number(__ENV.K6_STEP_SECONDS || 20);
const size = Number(__ENV.K6_SIZE || 100);
const { admin, producer, consumer } = clients(topic, 30);

export const options = {
  scenarios: {
    produce: { executor: "per-vu-iterations", exec: "produce", vus: 1, iterations: 1, maxDuration: `${rates.length * stepSeconds + 300}s` },
    consume: { executor: "per-vu-iterations", exec: "consume", vus: 1, iterations: 1, maxDuration: `${rates.length * stepSeconds + 300}s` },
  },
  thresholds: { ...DEFAULT_THRESHOLDS, checks: ["rate==1.0"] },
};

export function setup() { recreate(admin, topic, 6); }

export function produce() {
  for (const rate of rates) {
    const g = producer.generate({ n: rate * stepSeconds, size, rate });
    console.log(`${rate}/s: ${g.acked} acknowledged, ${g.failed} failed, slowest ${g.max} ms`);
    check(g, { "every record is acknowledged": (x) => x.failed === 0 && x.acked === rate * stepSeconds });
  }
}

export function consume() {
  const want = rates.reduce((sum, rate) => sum + rate * stepSeconds, 0);
  check(readAll(consumer, 15), { "every record is read once": (n) => n === want });
}

export function teardown() { admin.deleteTopic(topic); }
export const handleSummary = summary;
