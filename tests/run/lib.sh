# shellcheck shell=bash
# What every suite script shares: the protocol in which results are told.
#
# A suite prints one line for each thing that it tested, and nothing else that begins like it:
#
#   ok NAME
#   not ok NAME: why
#   skip NAME: why
#
# Names are paths without spaces (unit/wire/round_trip). Lines below a `not ok` that begin with four
# spaces are the output that explains it. tests/run/check.sh collects these lines from all suites.

set -u
LOGS=${LOGS:-build/logs}
RESULTS=${RESULTS:-build/results}
JOBS=${JOBS:-2}

ok() { printf 'ok %s\n' "$1"; }
skip() { printf 'skip %s: %s\n' "$1" "$2"; }

# not_ok NAME WHY [LOG]: the last lines of the file LOG explain it.
not_ok()
{
	printf 'not ok %s: %s\n' "$1" "$2"
	[ -z "${3:-}" ] || tail -n 60 -- "$3" | sed 's/^/    /'
}

# ended STATUS LIMIT: how a command under timeout(1) ended, in words.
ended()
{
	case $1 in
	124 | 137) echo "had not ended after $2 s, or was killed" ;;
	12[89] | 1[3-9]?) echo "died of signal $(($1 - 128)) ($(kill -l "$(($1 - 128))"))" ;;
	*) echo "exit status $1" ;;
	esac
}

# metric FILE TEST METRIC VALUE UNIT GOAL: one measured number for build/results/FILE.jsonl.
metric()
{
	mkdir -p "$RESULTS"
	printf '{"test": "%s", "metric": "%s", "value": %s, "unit": "%s", "goal": "%s"}\n' \
		"$2" "$3" "$4" "$5" "$6" >>"$RESULTS/$1.jsonl"
}

# repeat_failures: of the results on stdin, those that failed, with the lines that explain them.
repeat_failures() { awk '/^(ok|skip) /{on = 0} /^not ok /{on = 1} !/^(    |not ok )/{on = 0} on'; }
