#!/usr/bin/env bash
# Starts a broker on a free port, runs the smoke script against it, and leaves
# report.html, summary.json and the histogram logs in results/k6-smoke.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=results/k6-smoke
rm -rf "$out" && mkdir -p "$out"
data=$(mktemp -d)
port=${PORT:-$(shuf -i 20000-30000 -n 1)}
bin/brokerd --dev --data "$data" --listen "127.0.0.1:$port" >"$out/brokerd.log" 2>&1 &
broker=$!
trap 'kill $broker 2>/dev/null || true; wait $broker 2>/dev/null || true; rm -rf "$data"' EXIT
# The dashboard writes its page from snapshots, so it needs some of them.
K6_BROKERS=127.0.0.1:$port K6_SECONDS=${K6_SECONDS:-10} K6_SUMMARY="$out/summary.json" KAFKA_HLOG_DIR="$out" \
	K6_WEB_DASHBOARD=true K6_WEB_DASHBOARD_PORT=-1 K6_WEB_DASHBOARD_PERIOD=1s K6_WEB_DASHBOARD_EXPORT="$out/report.html" \
	K6_NO_USAGE_REPORT=true K6_AUTO_EXTENSION_RESOLUTION=false bin/k6 run --quiet --address 127.0.0.1:0 bench/k6/smoke.js
ls "$out"
