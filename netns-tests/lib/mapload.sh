# shellcheck shell=bash
# Many nodes of one map out of one process: what tools/mapload.c is told, and what it says.
#
#   . "$(dirname "$0")/lib/mapload.sh"
#   run_in M ip route add local 10.0.0.0/8 dev lo   # where mapload runs: its nodes have these addresses
#   begin_nodes M 127.0.0.1:13116 KEY PID 5000 60   # all are registered after at most 60 s
#   step push=200,5 30                              # one step, which takes at most 30 s
#   of '.told_p99_ms'                               # of what the last step has measured
#   end_nodes

LOAD_STEPS=0  # lines that mapload has printed
LOAD_PREFIX=() # of its command: taskset, nice

# begin_nodes HOST ENDPOINT KEY PID NODES SECONDS
begin_nodes()
{
	rm -f "$LAB/steps"
	mkfifo "$LAB/steps" || lab_die "mkfifo"
	LOAD_STEPS=0
	: >"$LAB/mapload.log"
	# shellcheck disable=SC2016
	spawn "$1" mapload sh -c 'f=$1; shift; exec "$@" <"$f"' sh "$LAB/steps" "${LOAD_PREFIX[@]}" \
		"$WARP_BUILD/netns/mapload" "${@:2:4}"
	exec 9>"$LAB/steps"
	load_says "$6"
}

# The next line of mapload, within so many seconds.
load_says()
{
	LOAD_STEPS=$((LOAD_STEPS + 1))
	wait_until '[ "$(grep -c "^{" "$LAB/mapload.log")" -ge $LOAD_STEPS ] || ! running mapload' "$1"
	[ "$(grep -c '^{' "$LAB/mapload.log")" -ge "$LOAD_STEPS" ]
}

# step TEXT SECONDS
step()
{
	echo "$1" >&9
	load_says "$2"
}

# of FILTER
of() { grep '^{' "$LAB/mapload.log" | tail -n 1 | jq -r "$1"; }

end_nodes()
{
	exec 9>&-
	await mapload 10
}
