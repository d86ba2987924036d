#!/usr/bin/env bash
# Runs each fuzzer for FUZZ_SECONDS, JOBS at a time: fuzz.sh PROGRAM...
#
# Starts from tests/fuzz/corpus/NAME/ (kept in the repository: seeds, and what once went wrong) and
# keeps what it learns in build/fuzz/corpus/NAME/. An input that fails is left in build/fuzz/found/.
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

SECONDS_EACH=${FUZZ_SECONDS:-30}
# A fuzzer that tries fewer does not run as it should; engine has some 40 a second where it is in nobody's way.
FEWEST=100
# In wall time, of which others take most; and for a fuzzer to end that has been told to.
LONGEST=60
LIMIT=$((SECONDS_EACH + 300))
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# what_failed LOG: in one line, so that a failure elsewhere can be repeated: printf %s INPUT | base64 -d.
what_failed()
{
	local input
	sed -n 's/^SUMMARY: /; /p' "$1" | tail -n 1 | tr -d '\n'
	input=$(sed -n 's/.*Test unit written to //p' "$1" | tail -n 1)
	[ ! -f "$input" ] || printf '; input %s' "$(base64 -w 0 "$input")"
}

one()
{
	local program=$1 name log runs status corpus options=()
	name=$(basename "$program")
	name=${name#fuzz_}
	log=$LOGS/fuzz/$name.log
	corpus=build/fuzz/corpus/$name
	mkdir -p "$corpus" build/fuzz/found
	[ ! -f "tests/fuzz/$name.dict" ] || options+=("-dict=tests/fuzz/$name.dict")
	options+=("$corpus")
	[ ! -d "tests/fuzz/corpus/$name" ] || options+=("tests/fuzz/corpus/$name")

	timeout -k 5 $LIMIT "$program" -max_total_time="$SECONDS_EACH" -timeout=$LONGEST \
		-rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" \
		"${options[@]}" >"$log" 2>&1 </dev/null
	status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
	if [ "$status" != 0 ]; then
		flock "$LOGS" cat <<<"$(not_ok "fuzz/$name" "$(ended "$status" $LIMIT)$(what_failed "$log")" "$log")"
		return 1
	elif [ "${runs:-0}" -lt $FEWEST ]; then
		flock "$LOGS" cat <<<"$(not_ok "fuzz/$name" "only ${runs:-0} inputs were tried" "$log")"
		return 1
	fi
	metric fuzz "fuzz/$name" inputs "$runs" count ">= $FEWEST"
	ok "fuzz/$name"
}

if [ "${1:-}" = --one ]; then
	one "$2"
	exit
fi
if [ $# = 0 ]; then
	not_ok fuzz "there are no fuzzers"
	exit 1
fi
mkdir -p "$LOGS/fuzz" "$RESULTS"
rm -f "$RESULTS/fuzz.jsonl"
printf '%s\0' "$@" | xargs -0 -n 1 -P "$JOBS" "$0" --one || exit 1
