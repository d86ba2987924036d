#!/usr/bin/env bash
# How much of the core the unit tests and simulations run: coverage.sh PROGRAM...
# The programs are built with --coverage in build/coverage. Whether their tests pass is told by
# other suites; here counts which lines of src/core/ were reached.
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

GOAL=90
build=build/coverage
log=$LOGS/coverage-report.txt

if [ $# = 0 ]; then
	not_ok coverage/core-lines "there are no tests"
	exit 1
fi
mkdir -p "$LOGS" "$RESULTS"
find $build -name '*.gcda' -delete
"$(dirname "$0")/cmocka.sh" coverage-run "$@" >"$LOGS/coverage-run.txt" ||
	grep '^not ok' "$LOGS/coverage-run.txt" | sed 's/^/(while counting) /'

if ! gcovr --root . --filter 'src/core/' --object-directory $build --gcov-ignore-parse-errors \
	-j "$JOBS" --json-summary $build/summary.json --txt "$log" $build 2>"$LOGS/coverage.err"; then
	not_ok coverage/core-lines "gcovr failed" "$LOGS/coverage.err"
	exit 1
fi
percent=$(jq -r '.line_percent // 0' $build/summary.json)
rm -f "$RESULTS/coverage.jsonl"
metric coverage coverage/core lines "$percent" percent ">= $GOAL"
if jq -e ".line_total > 0 and .line_percent >= $GOAL" $build/summary.json >/dev/null; then
	echo "core: $percent % of the lines (build/logs/coverage-report.txt)"
	ok coverage/core-lines
else
	not_ok coverage/core-lines "$percent % of the core's lines were run, at least $GOAL % should be" "$log"
	exit 1
fi
