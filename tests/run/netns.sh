#!/usr/bin/env bash
# Runs the tests in network namespaces: netns.sh [--waiting | --measuring | NAME...]
#
# One more at a time than there are processors (NETNS_JOBS), for most of them wait more than they work. Those
# with a comment `# alone: why` measure, or keep all processors busy: they run after the others, one after the
# other. --waiting and --measuring run only the ones or the others.
#
# A test is an executable netns-tests/NAME.sh. demo.sh is run only by name, long_*.sh only by name (with
# long_ or without) or with LONG=1. It passes with exit status 0, is skipped with 77 (its last line says why); it may also
# print results of its own (`ok NAME` ...). It has 120 s, or what a comment `# timeout: N` in it says.
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

# Why tests in namespaces cannot run here; nothing when they can.
obstacle()
{
	if [ "$(id -u)" != 0 ]; then
		echo "needs root"
	elif ! unshare --net --mount true 2>/dev/null; then
		echo "namespaces cannot be made here"
	elif ! [ -c /dev/net/tun ] || ! (exec 3<>/dev/net/tun) 2>/dev/null; then
		echo "/dev/net/tun cannot be opened"
	fi
}

# run NAME: prints its results.
run()
{
	local name=$1 script=netns-tests/$1.sh log=$LOGS/netns/$1.log limit status own
	limit=$(sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$script" | head -n 1)
	limit=${limit:-120}
	# A busy machine takes its time to take tens of networks away.
	timeout -k 60 "$limit" "$script" >"$log" 2>&1 </dev/null
	status=$?
	own=$(grep -E '^(ok|not ok|skip) ' "$log" | sed -E "s,^(ok|not ok|skip) (netns/)?($name/)?,\1 netns/$name/,")
	if [ "$status" = 77 ] && ! grep -q '^not ok' <<<"$own"; then
		skip "netns/$name" "$(tail -n 1 "$log" | sed 's/^skip [^:]*: //')"
		return
	fi
	[ -z "$own" ] || printf '%s\n' "$own"
	if [ "$status" != 0 ]; then
		not_ok "netns/$name" "$(ended "$status" "$limit")" "$log"
	elif [ -z "$own" ]; then
		ok "netns/$name"
	fi
}

part=all
case ${1:-} in
--waiting | --measuring)
	part=$1
	shift
	;;
esac
if [ $# -gt 0 ]; then
	names=("$@")
else
	names=()
	for script in netns-tests/*.sh; do
		name=$(basename "$script" .sh)
		case $name in
		'*' | lib* | _* | demo) continue ;;
		long_*) [ -n "${LONG:-}" ] || continue ;;
		esac
		names+=("$name")
	done
fi
if [ ${#names[@]} = 0 ]; then
	not_ok netns "there are no tests"
	exit 1
fi

mkdir -p "$LOGS/netns"
rm -f "$LOGS/netns/failed"
why=$(obstacle)
named=$#
jobs=${NETNS_JOBS:-$(($(nproc) + 1))}

# Runs one and tells its results in one piece, so that those of another do not come between.
one()
{
	local name=$1 begun=$SECONDS results
	results=$(run "$name")
	! grep -q '^not ok' <<<"$results" || echo "$name" >>"$LOGS/netns/failed"
	[ "$named" = 0 ] || results+=$'\n'$(sed 's/^/  | /' "$LOGS/netns/$name.log")
	{
		flock 9
		printf '%s\n(%s: %d s)\n' "$results" "$name" $((SECONDS - begun))
	} 9>"$LOGS/netns/lock"
}

# Whether it has to run alone.
measures() { [ "$jobs" -lt 2 ] || grep -q '^# alone' "netns-tests/$1.sh"; }

alone=()
for name in "${names[@]}"; do
	[ -e "netns-tests/$name.sh" ] || [ ! -e "netns-tests/long_$name.sh" ] || name=long_$name
	if [ ! -x "netns-tests/$name.sh" ]; then
		not_ok "netns/$name" "netns-tests/$name.sh is not there or not executable"
		echo "$name" >>"$LOGS/netns/failed"
	elif measures "$name"; then
		[ "$part" = --waiting ] || alone+=("$name")
	elif [ "$part" = --measuring ]; then
		continue
	elif [ -n "$why" ]; then
		skip "netns/$name" "$why"
	else
		while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
		one "$name" &
	fi
done
wait
for name in ${alone[@]+"${alone[@]}"}; do
	if [ -n "$why" ]; then
		skip "netns/$name" "$why"
	else
		one "$name"
	fi
done
[ ! -e "$LOGS/netns/failed" ]
