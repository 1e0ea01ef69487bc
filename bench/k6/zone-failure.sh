#!/usr/bin/env bash
# Three nodes in three zones, zone-failure.js against them, and one zone's node
# killed on the way and started again. Leaves report.html, summary.json and the
# histogram logs in results/k6-zone-failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=results/k6-zone-failure
seconds=${K6_SECONDS:-60}
rm -rf "$out" && mkdir -p "$out"
data=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$data"' EXIT
bin/brokerd dev-cluster --nodes 3 --zones 3 --data "$data" >"$out/cluster.log" 2>&1 &
pids+=($!)
for _ in $(seq 300); do
	grep -q '^bootstrap.servers=' "$out/cluster.log" && break
	sleep 0.2
done
brokers=$(sed -n 's/^bootstrap.servers=//p' "$out/cluster.log")
victim=$(sed -n 's/^node-2 .* pid \([0-9]*\) .*/\1/p' "$out/cluster.log")
if [ -z "$brokers" ] || [ -z "$victim" ]; then
	echo "the cluster did not start; see $out/cluster.log" >&2
	exit 1
fi
(
	sleep $((seconds / 3))
	echo "kill -9 of node-2 ($victim)"
	kill -9 "$victim"
	sleep $((seconds / 3))
	echo "node-2 starts again"
	exec bin/brokerd --config "$data/node-2/server.properties" >"$out/node-2.log" 2>&1
) &
pids+=($!)
K6_BROKERS=$brokers K6_REPLICATION_FACTOR=3 K6_SECONDS=$seconds K6_SUMMARY="$out/summary.json" KAFKA_HLOG_DIR="$out" \
	K6_WEB_DASHBOARD=true K6_WEB_DASHBOARD_PORT=-1 K6_WEB_DASHBOARD_PERIOD=1s K6_WEB_DASHBOARD_EXPORT="$out/report.html" \
	K6_NO_USAGE_REPORT=true K6_AUTO_EXTENSION_RESOLUTION=false bin/k6 run --quiet --address 127.0.0.1:0 bench/k6/zone-failure.js
