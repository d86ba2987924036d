#!/usr/bin/env bash
# `make check`: everything that is tested in minutes. check.sh [long]
#
# Each suite is a command with a time limit, which prints results as lib.sh describes. A suite that
# hangs, dies or reports nothing has failed. Its output is kept in build/logs/SUITE.log. At the end
# stand all failures once more, and a last line `N passed, N failed[, N skipped]`. Exit 1 on any failure.
#
# With `long`, fuzzers have 300 s each, netns-tests/long_*.sh are run as well, and LONG=1 is in the
# environment: simulations walk through more seeds then.
cd "$(dirname "$0")/../.." || exit 2
# shellcheck source=tests/run/lib.sh
. tests/run/lib.sh

scale=1
if [ "${1:-}" = long ]; then
	scale=10
	export LONG=1
fi
export CMOCKA_SECONDS=${CMOCKA_SECONDS:-$((120 * scale))}
FUZZ_SECONDS=${FUZZ_SECONDS:-$((30 * scale))}
# This is the top of its own tree of makes: the outer one's flags and job server are not for it.
unset MAKEFLAGS MFLAGS MAKELEVEL
make=(make -s --no-print-directory WERROR=1 "FUZZ_SECONDS=$FUZZ_SECONDS")

rm -rf "$LOGS"
mkdir -p "$LOGS" "$RESULTS"
# Each suite is a session of processes, so that nothing of it outlives it, not even when interrupted.
end_session() { pkill -TERM -s "$(cat "$1")"; rm -f "$1"; }
end_all() { for file in "$LOGS"/*.session; do [ ! -f "$file" ] || end_session "$file"; done; }
trap 'trap "" INT TERM; end_all; wait; exit 130' INT TERM

count() { grep -c "^$1 " "$LOGS"/*.results -h | awk '{ n += $1 } END { print n + 0 }'; }

# suite NAME LIMIT COMMAND...
suite()
{
	local name=$1 limit=$2 log=$LOGS/$1.log results=$LOGS/$1.results begun=$SECONDS status
	shift 2
	setsid timeout -k 20 "$limit" "$@" >"$log" 2>&1 </dev/null &
	echo $! >"$LOGS/$name.session"
	wait $!
	status=$?
	end_session "$LOGS/$name.session"
	awk '/^(ok|not ok|skip) /{on = /^not/; print; next} /^    /{if (on) print; next} {on = 0}' \
		"$log" >"$results"
	if [ "$status" != 0 ] && ! grep -q '^not ok ' "$results"; then
		not_ok "$name" "$(ended "$status" "$limit")" "$log" >>"$results"
	elif [ "$status" -ge 124 ]; then
		not_ok "$name" "$(ended "$status" "$limit")" >>"$results"
	elif [ ! -s "$results" ]; then
		not_ok "$name" "it reported nothing" "$log" >>"$results"
	fi
	grep -E '^(not ok|skip) ' "$results"
	printf -- '-- %s: %d passed, %d failed, %d skipped (%d s)\n' "$name" \
		"$(grep -c '^ok ' "$results")" "$(grep -c '^not ok ' "$results")" \
		"$(grep -c '^skip ' "$results")" $((SECONDS - begun))
}

# beside SUITE...: like suite, but two of them run at a time.
beside()
{
	while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
	suite "$@" &
}

# command_passes NAME COMMAND...: a suite of one result.
command_passes()
{
	local name=$1
	shift
	"$@" && ok "$name"
}
export -f command_passes ok

finish()
{
	local passed failed skipped
	passed=$(count ok)
	failed=$(count 'not ok')
	skipped=$(count skip)
	if [ "$failed" != 0 ]; then
		printf '\nFailures:\n'
		for results in "$LOGS"/*.results; do repeat_failures <"$results"; done
	fi
	printf '\nLogs are in %s, %d s in all.\n' "$LOGS" "$SECONDS"
	echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
	exit $((failed != 0))
}

suite deps 900 bash -c 'command_passes "$@"' bash deps tests/run/deps.sh all
suite build 600 bash -c 'command_passes "$@"' bash build "${make[@]}" -k -j"$(nproc)" tests
# Without what these make, nothing below can say more.
! grep -q '^not ok' "$LOGS/deps.results" "$LOGS/build.results" || finish

# On two processors these do not disturb each other: none of them measures time.
beside lint 900 "${make[@]}" lint
beside asan $((900 * scale)) "${make[@]}" asan
beside coverage $((900 * scale)) "${make[@]}" coverage
beside sim $((600 * scale)) "${make[@]}" sim
beside unit 300 "${make[@]}" unit
beside cli 120 tests/run/cli.sh
beside check-pure 60 "${make[@]}" check-pure
beside sizes 60 "${make[@]}" sizes
wait
# Most tests in namespaces wait more than they work: fuzzers have what they leave.
beside netns-waiting $((900 * scale)) "${make[@]}" netns-tests T=--waiting
beside fuzz $((2100 + FUZZ_SECONDS * 20)) nice -n 19 "${make[@]}" -j"$JOBS" fuzz
wait
# The others keep both processors busy, or measure.
suite netns-measuring $((900 * scale)) "${make[@]}" netns-tests T=--measuring
suite demo 300 tests/run/netns.sh demo
finish
