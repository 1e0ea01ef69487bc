#!/usr/bin/env bash
# Counts instructions with valgrind and compares them with bench/instructions.txt,
# each within 10 %. Unlike seconds they hardly depend on the machine or its load.
#   bench/callgrind.sh            compare
#   bench/callgrind.sh -update    write what was counted
# Three figures: a whole smoke run divided by its records, and what one more record
# costs in a batch of its own and in a batch of a hundred (the difference of two runs).
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v valgrind >/dev/null; then
	echo "callgrind: valgrind is not installed; instructions are NOT checked" >&2
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -c -o "$work/bench.test" .

# count BENCHMARK prints the instructions of one run. One thread and no garbage
# collection take away what depends on timing. The Go scheduler interrupts its
# threads by signals, and callgrind dies of a signal that meets it in another
# handler's return: without asynchronous preemption there are none.
count() {
	if ! GODEBUG=asyncpreemptoff=1 GOMAXPROCS=1 GOGC=off valgrind --tool=callgrind --callgrind-out-file="$work/out" \
		"$work/bench.test" -test.run '^$' -test.bench "$1" -test.benchtime 1x >"$work/log" 2>&1 ||
		! grep -q '^PASS' "$work/log" || ! grep -q '^Benchmark' "$work/log"; then
		cat "$work/log" >&2
		echo "callgrind: $1 could not be counted" >&2
		return 1
	fi
	awk '/^totals:/ { print $2 }' "$work/out"
}

# slope NAME FEW MANY prints the instructions of one more record.
slope() {
	local few many
	few=$(count "^BenchmarkInstructions\$/^$1\$/^records=$2\$")
	many=$(count "^BenchmarkInstructions\$/^$1\$/^records=$3\$")
	echo $(((many - few) / ($3 - $2)))
}

smoke=$(count '^BenchmarkSmoke$')
singles=$(slope singles 10000 30000)
batches=$(slope batches 100000 500000)
printf 'smoke %d\nsingles %d\nbatches %d\n' $((smoke / 3000)) "$singles" "$batches" >"$work/now"

if [ "${1:-}" = -update ]; then
	cp "$work/now" instructions.txt
	cat instructions.txt
	exit 0
fi
awk 'NR == FNR { budget[$1] = $2; next }
	{
		change = ($2 / budget[$1] - 1) * 100
		printf "%-8s %8d instructions per record, budget %8d, %+.1f %%\n", $1, $2, budget[$1], change
		if (change > 10) { bad = 1; print "  over the budget by more than 10 %" }
		if (change < -10) { print "  well below the budget: record the gain with bench/callgrind.sh -update" }
	}
	END { exit bad }' instructions.txt "$work/now"
