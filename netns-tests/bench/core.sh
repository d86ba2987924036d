#!/usr/bin/env bash
# How many instructions the core spends on a payload, and whether it has become more: core.sh [--save]
#
# Each case of build/bench-core (core.c) runs under callgrind, which counts the instructions between the
# beginning and the end of its work. Other programs on the machine do not change them. They are compared with
# core-baseline.json, which --save writes. Exit status: 0; 1 when a case has become more than 5 %
# dearer; 2 when it cannot run here.
# A baseline of another compiler, C library or kind of processor is shown, but fails nothing.
set -u

BENCH=$(dirname "$0")
SOURCE=$(cd "$BENCH/../.." && pwd)
PROGRAM=${WARP_BUILD:-$SOURCE/build}/bench-core
RESULTS=${RESULTS:-$SOURCE/build/results}
BASELINE=$BENCH/core-baseline.json
LIMIT=1.05

save=
case ${1:-} in
'') ;;
--save) save=1 ;;
*)
	echo "usage: core.sh [--save]" >&2
	exit 2
	;;
esac

# need PROGRAM PACKAGE: installs it, where that is possible.
need()
{
	command -v "$1" >/dev/null && return
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
		DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$2" \
			</dev/null >/dev/null 2>&1 && return
	echo "bench-core: $1 is missing; as root: apt-get install $2" >&2
	exit 2
}
need valgrind valgrind
need jq jq
[ -x "$PROGRAM" ] || { echo "bench-core: $PROGRAM is not built: run make bench-core" >&2; exit 2; }

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
mkdir -p "$RESULTS"

# What the counts depend on besides warp. valgrind hides what it does not know (AVX-512).
place=$(jq -n -c \
	--arg compiler "$(strings -a "$PROGRAM" | grep -m 1 -E '^(GCC: |clang version|Debian clang)')" \
	--arg libc "$(getconf GNU_LIBC_VERSION 2>/dev/null)" \
	--arg cpu "$(uname -m)$(grep -m 1 '^flags' /proc/cpuinfo | grep -oE ' (aes|avx2|pclmulqdq|erms)\b' | sort | tr -d '\n')" \
	'{$compiler, $libc, $cpu}')

# count NAME PAYLOADS: instructions a payload.
count()
{
	valgrind --tool=callgrind --collect-atstart=no --toggle-collect=measured \
		--callgrind-out-file="$work/out" "$PROGRAM" "$1" >"$work/log" 2>&1 || {
		grep -v '^==' "$work/log" >&2
		return 1
	}
	awk -v n="$2" '/^(summary|totals):/ { printf "%.1f", $2 / n; exit }' "$work/out"
}

failed=
while read -r name payloads; do
	if ! value=$(count "$name" "$payloads") || [ -z "$value" ]; then
		echo "bench-core: the case $name does not work" >&2
		failed=1
		continue
	fi
	jq -n -c --arg name "$name" --argjson value "$value" '{$name, $value}' >>"$work/counts"
done < <("$PROGRAM")
[ -s "$work/counts" ] || exit 1

if [ -n "$save" ]; then
	[ -z "$failed" ] || exit 1
	jq -s --argjson place "$place" '{place: $place, instructions: (map({key: .name, value}) | from_entries)}' \
		"$work/counts" >"$BASELINE" || exit 1
	echo "saved in netns-tests/bench/core-baseline.json"
fi

baseline=$(cat "$BASELINE" 2>/dev/null || echo '{}')
same=$(jq -n --argjson b "$baseline" --argjson p "$place" '$b.place == null or $b.place == $p')

jq -s -r --argjson b "$baseline" --argjson limit $LIMIT '
def pad($n): tostring | " " * ([$n - length, 0] | max) + .;
def padr($n): tostring | . + " " * ([$n - length, 0] | max);
	"instructions a payload          now  baseline   change",
	(.[] | ($b.instructions[.name]) as $was
		| (.name | padr(24)) + (.value | round | pad(11)) + ($was | if . then round else "new" end | pad(10))
		+ (if $was then ((.value / $was - 1) * 1000 | round / 10) as $p
			| (if $p > 0 then "+\($p)" else "\($p)" end + " %" | pad(9))
			+ (if .value > $was * $limit then "  DEARER" else "" end) else "" end))' "$work/counts"
jq -c --argjson b "$baseline" --argjson limit $LIMIT '($b.instructions[.name]) as $was
	| {test: "bench-core", metric: .name, value, unit: "instructions"}
	+ (if $was then {goal: "<= \($was * $limit * 10 | round / 10)"} else {} end)' \
	"$work/counts" >"$RESULTS/bench-core.jsonl"

dearer=$(jq -s -r --argjson b "$baseline" --argjson limit $LIMIT \
	'[.[] | select(.value > ($b.instructions[.name] // infinite) * $limit).name] | join(", ")' "$work/counts")
if [ "$same" != true ]; then
	echo "the baseline is of another place ($(jq -c .place <<<"$baseline"), here $place): no verdict"
elif [ -n "$dearer" ]; then
	echo "more than 5 % dearer: $dearer"
	failed=1
fi
[ -z "$failed" ]
