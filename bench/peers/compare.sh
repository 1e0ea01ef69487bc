#!/usr/bin/env bash
# brokerd and its peers: one node each, in processes of their own on this machine,
# each with its defaults, loaded in turns. Prints a table of docs/performance.md and
# leaves it with every run's figures in OUT.
#   PEERS="kfake jetstream" REPEATS=3 DURATION=20s WARMUP=5s PAUSE=5s MEMORY_GIB=8 \
#     OUT=results/bench-peers bench/peers/compare.sh [WORKLOAD.yaml...]
# PEERS are kfake (franz-go's broker, writing to a directory), jetstream (NATS with a
# file store), or kafka (Apache Kafka as conformance/jvm/pom.xml has it from Maven
# Central, with the heap and the collector that its own kafka-server-start.sh gives
# it; needs Java 17 and Maven). A JVM compiles what runs often while it runs, which
# no WARMUP of a few seconds covers: with kafka every target first takes
# JVM_WARMUP=30s of the first workload, which are not measured.
# In a virtual machine the first use of a page of memory is a fault in the host:
# writing 1 GB to a new file took 3.2 s, and 0.3 s in pages that had been used. So
# MEMORY_GIB of a file are written and removed first, or all would be compared by
# how fast the hypervisor is.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ $# = 0 ]; then
	set -- bench/workloads/1-topic-{100b,1kib}-{max,20k}.yaml
fi
peers=${PEERS:-kfake jetstream}
out=${OUT:-results/bench-peers}
(cd bench/peers && go build -o ../../bin/peers .)
data=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$data"' EXIT
port=${PORT:-$(shuf -i 20000-30000 -n 1)}
targets=()

# serve NAME PREFIX COMMAND...: a system that is loaded at PREFIX and the next port.
serve() {
	targets+=(--target "$1=$2127.0.0.1:$port")
	"${@:3}" >"$data/$1.log" 2>&1 &
	pids+=($!)
	port=$((port + 1))
}

# kafka formats a directory and serves from it. Its properties are those without
# which a single node does not work.
kafka() {
	mvn -q -B -f conformance/jvm/pom.xml dependency:build-classpath "-Dmdep.outputFile=$data/classpath"
	cat >"$data/kafka.properties" <<-PROPERTIES
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$((port + 1))
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
		controller.listener.names=CONTROLLER
		log.dirs=$data/kafka
		offsets.topic.replication.factor=1
	PROPERTIES
	local java=(java -Xms1g -Xmx1g -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35
		-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true -cp "$(cat "$data/classpath")")
	"${java[@]}" kafka.tools.StorageTool format -t 4L6g3nShT-eMCtK--X86sw -c "$data/kafka.properties" >"$data/format.log" 2>&1 || {
		cat "$data/format.log" >&2
		return 1
	}
	local address=127.0.0.1:$port
	serve kafka "" "${java[@]}" kafka.Kafka "$data/kafka.properties"
	port=$((port + 1))
	for _ in {1..120}; do
		if bin/brokerctl --brokers "$address" cluster health >/dev/null 2>&1; then
			return
		fi
		sleep 0.5
	done
	echo "Apache Kafka does not serve at $address after a minute; its log ends with" >&2
	tail -n 20 "$data/kafka.log" >&2
	return 1
}

dd if=/dev/zero of="$data/memory" bs=1M count=$((${MEMORY_GIB:-8} * 1024)) status=none
rm "$data/memory"
serve brokerd "" bin/brokerd --dev --data "$data/brokerd" --listen "127.0.0.1:$port"
for peer in $peers; do
	case $peer in
	kfake) serve kfake "" bin/peers serve kfake --dir "$data/kfake" --port "$port" ;;
	jetstream) serve jetstream nats:// bin/peers serve jetstream --dir "$data/jetstream" --port "$port" ;;
	kafka) kafka ;;
	*)
		echo "PEERS: $peer is none of kfake, jetstream, kafka" >&2
		exit 2
		;;
	esac
done
if [[ " $peers " == *" kafka "* ]]; then
	echo "Not measured: ${JVM_WARMUP:-30s} for the JVM to compile what runs often, and as much for the others." >&2
	bin/peers "${targets[@]}" --quiet --duration "${JVM_WARMUP:-30s}" --warmup 0s --out "$out/jvm-warmup" "$1" >/dev/null
fi
bin/peers "${targets[@]}" --out "$out" --repeats "${REPEATS:-3}" --pause "${PAUSE:-5s}" \
	--duration "${DURATION:-20s}" --warmup "${WARMUP:-5s}" "$@"
echo "The table and each run's figures are in $out."
