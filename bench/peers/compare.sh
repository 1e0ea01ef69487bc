#!/usr/bin/env bash
# brokerd, kfake writing to a directory, and NATS JetStream with a file store: one
# node each, in processes of their own on this machine, loaded in turns. Prints
# the table of docs/performance.md.
#   REPEATS=3 DURATION=20s WARMUP=5s PAUSE=5s MEMORY_GIB=8 bench/peers/compare.sh [WORKLOAD.yaml...]
# In a virtual machine the first use of a page of memory is a fault in the host:
# writing 1 GB to a new file took 3.2 s, and 0.3 s in pages that had been used. So
# MEMORY_GIB of a file are written and removed first, or all would be compared by
# how fast the hypervisor is.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ $# = 0 ]; then
	set -- bench/workloads/1-topic-{100b,1kib}-{max,20k}.yaml
fi
(cd bench/peers && go build -o ../../bin/peers .)
data=$(mktemp -d)
dd if=/dev/zero of="$data/memory" bs=1M count=$((${MEMORY_GIB:-8} * 1024)) status=none
rm "$data/memory"
base=${PORT:-$(shuf -i 20000-30000 -n 1)}
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$data"' EXIT
bin/brokerd --dev --data "$data/brokerd" --listen "127.0.0.1:$base" >"$data/brokerd.log" 2>&1 &
pids+=($!)
bin/peers serve kfake --dir "$data/kfake" --port $((base + 1)) >"$data/kfake.log" 2>&1 &
pids+=($!)
bin/peers serve jetstream --dir "$data/jetstream" --port $((base + 2)) >"$data/jetstream.log" 2>&1 &
pids+=($!)
bin/peers --target "brokerd=127.0.0.1:$base" --target "kfake=127.0.0.1:$((base + 1))" \
	--target "jetstream=nats://127.0.0.1:$((base + 2))" \
	--repeats "${REPEATS:-3}" --pause "${PAUSE:-5s}" --duration "${DURATION:-20s}" --warmup "${WARMUP:-5s}" "$@"
