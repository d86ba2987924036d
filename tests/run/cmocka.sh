#!/usr/bin/env bash
# Runs cmocka programs, JOBS at a time: cmocka.sh SUITE PROGRAM...
# Each of their tests becomes one result, SUITE/PROGRAM/TEST; a program that dies, hangs or ends
# before its last test is one more that failed. Output is kept in build/logs/SUITE/.
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

LIMIT=${CMOCKA_SECONDS:-120}
# Strings are not looked at beyond what a function needs: libminiupnpc reads the numbers of a header
# where they stand in what has come so far, of which a 0 is not the end.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# TAP as cmocka prints it ("not ok 4 # SKIP name" is a skipped test) into results. What a test
# prints comes before its result line, what an assertion has to say in # lines after it.
translate()
{
	awk -v prefix="$1" '
	function flush_failure() {
		if (failed == "")
			return
		print "not ok " prefix "/" failed ": assertion failed"
		printf "%s", said
		failed = ""
	}
	/^1\.\.[0-9]+$/ { flush_failure(); planned += substr($0, 4); said = ""; next }
	/^(not )?ok [0-9]+ # SKIP / {
		flush_failure(); said = ""; seen++
		sub(/^.*# SKIP /, "")
		print "skip " prefix "/" $0 ": the test skipped itself"
		next
	}
	/^ok [0-9]+ - / {
		flush_failure(); said = ""; seen++
		sub(/^ok [0-9]+ - /, "")
		print "ok " prefix "/" $0
		next
	}
	/^not ok [0-9]+ - / {
		flush_failure(); seen++; bad++
		sub(/^not ok [0-9]+ - /, "")
		failed = $0
		next
	}
	/^# (not )?ok - / { flush_failure(); next }
	{ said = said "    " $0 "\n" }
	END {
		flush_failure()
		if (seen < planned || !planned)
			exit 3
		exit bad > 0
	}'
}

one()
{
	local suite=$1 program=$2 name status verdict results log
	name=$(basename "$program")
	name=${name#test_}
	name=${name#scenario_}
	mkdir -p "$LOGS/$suite"
	log=$LOGS/$suite/$name.log
	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 5 "$LIMIT" "$program" >"$log" 2>&1 </dev/null
	status=$?
	results=$(translate "$suite/$name" <"$log")
	verdict=$?
	if [ "$verdict" = 3 ] || { [ "$verdict" = 0 ] && [ "$status" != 0 ]; }; then
		results+=$'\n'$(not_ok "$suite/$name" "$(ended "$status" "$LIMIT")" "$log")
		verdict=1
	fi
	# Programs run side by side; their results do not mix.
	flock "$LOGS" sed '/^$/d' <<<"$results"
	return "$verdict"
}

if [ "${1:-}" = --one ]; then
	one "$2" "$3"
	exit
fi

suite=$1
shift
if [ $# = 0 ]; then
	not_ok "$suite" "there are no tests"
	exit 1
fi
mkdir -p "$LOGS"
printf '%s\0' "$@" | xargs -0 -n 1 -P "$JOBS" "$0" --one "$suite" || exit 1
