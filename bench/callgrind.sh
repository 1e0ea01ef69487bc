#!/usr/bin/env bash
# Counts instructions with valgrind and compares them with bench/instructions.txt,
# each within 10 %. Unlike seconds they hardly depend on the machine or its load.
#   bench/callgrind.sh            compare
#   bench/callgrind.sh -update    write what was counted
# Two figures: a whole smoke run divided by its records, and what one more record
# in a batch of its own costs (the difference of two runs).
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v valgrind >/dev/null; then
	echo "callgrind: valgrind is not installed; instructions are NOT checked" >&2
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -c -o "$work/bench.test" .

# count BENCHMARK prints the instructions of one run. GOMAXPROCS=1 and no garbage
# collection take away what depends on timing. This valgrind is older than this
# Go and now and then dies before main; then it is started again.
count() {
	for _ in 1 2 3 4 5 6 7 8; do
		if GOMAXPROCS=1 GOGC=off valgrind --tool=callgrind --callgrind-out-file="$work/out" \
			"$work/bench.test" -test.run '^$' -test.bench "$1" -test.benchtime 1x >"$work/log" 2>&1 &&
			grep -q '^PASS' "$work/log"; then
			awk '/^totals:/ { print $2 }' "$work/out"
			return
		fi
	done
	if grep -qE '^(panic:|--- FAIL|FAIL)' "$work/log"; then
		cat "$work/log" >&2
		echo "callgrind: $1 failed" >&2
		echo 1 >"$work/status"
		return
	fi
	echo "callgrind: this valgrind died eight times before it could run $1; instructions are NOT checked" >&2
	echo 0 >"$work/status"
}

# measure sets a variable to a count; a tool that cannot run is said and no failure.
measure() {
	printf -v "$1" '%s' "$(count "$2")"
	[ -n "${!1}" ] || exit "$(cat "$work/status")"
}
measure smoke '^BenchmarkSmoke$'
measure few '^BenchmarkInstructions$/^records=20000$'
measure many '^BenchmarkInstructions$/^records=40000$'
printf 'smoke %d\nsingles %d\n' $((smoke / 3000)) $(((many - few) / 20000)) >"$work/now"

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
