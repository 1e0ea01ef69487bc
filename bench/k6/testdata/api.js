// Every method of the module against a broker; each check is a property that the
// module promises.
import { check } from "k6";
import { Producer, Consumer, AdminClient, Connection, latencies, ISOLATION_LEVEL_READ_COMMITTED } from "k6/x/kafka";

const brokers = [__ENV.K6_BROKERS];
export const options = { vus: 1, iterations: 1, thresholds: { checks: ["rate==1.0"] } };

const admin = new AdminClient({ brokers });
const producer = new Producer({ brokers, topic: "api" });
const lazy = new Producer({ brokers, topic: "missing", deliveryTimeout: "1s", maxAttempts: 2 });
const transactional = new Producer({ brokers, topic: "api-tx", transactionalId: "api" });
const reader = new Consumer({ brokers, topic: "api", partition: 2, maxWait: "2s" });
const group = new Consumer({ brokers, topic: "api", groupId: "api", maxWait: "10s" });
const committed = new Consumer({ brokers, topic: "api-tx", isolationLevel: ISOLATION_LEVEL_READ_COMMITTED, maxWait: "2s" });

function thrown(f) {
  try { f(); } catch (e) { return String(e); }
  return "";
}

export default async function () {
  admin.createTopic({ topic: "api", numPartitions: 4, replicationFactor: 1, configEntries: [{ configName: "retention.ms", configValue: "3600000" }] });
  admin.createTopic({ topic: "api-tx", numPartitions: 1, replicationFactor: 1 });
  check(admin, {
    "a topic that exists is an error": (a) => thrown(() => a.createTopic({ topic: "api" })).includes("TOPIC_ALREADY_EXISTS"),
    "listTopics tells partitions": (a) => a.listTopics().find((t) => t.topic === "api").partitions === 4,
    "getMetadata tells leaders": (a) => a.getMetadata("api").partitions.every((p) => p.leader >= 0 && p.replicas.length === 1),
    "Connection lists names": () => new Connection({ address: brokers[0] }).listTopics().includes("api"),
  });

  // Explicit partitions, null, bytes and headers.
  producer.produce({ messages: [
    { partition: 2, key: null, value: "first", headers: { trace: "x" } },
    { partition: 2, key: new Uint8Array([1, 2]), value: new Uint8Array([3, 4]) },
    { partition: 2, key: "k", value: null },
  ] });
  const got = reader.consume({ maxMessages: 3 });
  check(got, {
    "explicit partitions are kept": (m) => m.every((x) => x.partition === 2) && m.map((x) => x.offset).join() === "0,1,2",
    "null is not empty": (m) => m[0].key === null && m[2].value === null,
    "bytes are bytes": (m) => m[1].value.length === 2 && m[1].value[0] === 3 && m[1].key[1] === 2,
    "headers arrive": (m) => String.fromCharCode(...m[0].headers.trace) === "x",
  });
  reader.seek(2, 1);
  check(reader.consume({ maxMessages: 1 }), { "seek goes back": (m) => m[0].offset === 1 });
  check(reader, {
    "position is after the last": (r) => r.position(2) === 2 && r.position(0) === -1,
    "a time-out holds": (r) => { const t = Date.now(); const e = thrown(() => r.consume({ maxMessages: 5, timeout: "1s" })); return e.includes("of 5 messages came within 1s") && Date.now() - t < 5000; },
    "an expected time-out returns what there is": (r) => r.consume({ maxMessages: 5, timeout: "500ms", expectTimeout: true }).length === 0,
  });

  // Promises.
  await Promise.all([0, 1, 3].map((partition) => producer.produceAsync({ messages: [{ partition, value: "async" }] })));
  check(await group.consumeAsync({ maxMessages: 6 }), { "promises deliver": (m) => m.filter((x) => x.value && String.fromCharCode(...x.value) === "async").length === 3 });
  group.commitOffsets();
  check(group.stats(), { "the group has the partitions": (s) => s.assignments === 4 });
  let rejected = "";
  try { await lazy.produceAsync({ messages: [{ value: "x" }] }); } catch (e) { rejected = String(e); }
  check(rejected, { "a missing topic rejects": (e) => e.includes("produce to missing") });

  // Generation in Go.
  const t = Date.now();
  const made = producer.generate({ n: 500, size: 64, rate: 1000, keys: 10 });
  check(made, { "generate acks all": (g) => g.acked === 500 && g.failed === 0, "generate keeps its rate": () => Date.now() - t >= 490 });
  check(await group.countAsync({ n: 500 }), { "generated records are read": (n) => n === 500 });
  check(latencies(), { "latencies are recorded": (l) => l.produce.count >= 506 && l.end_to_end.count >= 500 && l.end_to_end.max > 0 });

  // Transactions.
  transactional.beginTransaction();
  transactional.produce({ messages: [{ value: "aborted" }] });
  transactional.abortTransaction();
  transactional.beginTransaction();
  transactional.produce({ messages: [{ value: "committed" }] });
  transactional.commitTransaction();
  check(committed.consume({ maxMessages: 1 }), { "only committed records are read": (m) => String.fromCharCode(...m[0].value) === "committed" });

  check(null, {
    "unknown keys are errors": () => thrown(() => new Producer({ brokers, topik: "x" })).includes('unknown field "topik"'),
    "functions are errors": () => thrown(() => new Producer({ brokers, balancer: () => 0 })).includes("functions cannot be configured"),
    "acks are checked": () => thrown(() => new Producer({ brokers, requiredAcks: 2 })).includes("requiredAcks 2 is none of -1, 0, 1"),
    "brokers are needed": () => thrown(() => new Consumer({ topic: "x", brokers: [] })).includes("brokers is empty"),
    "messages need a topic": () => thrown(() => new Producer({ brokers }).produce({ messages: [{ value: "x" }] })).includes("names no topic"),
    "sizes are checked": () => thrown(() => producer.generate({ n: 1, size: 3 })).includes("size 3 is not in"),
  });
  [admin, producer, transactional, reader, group, committed].forEach((c) => c.close());
}
