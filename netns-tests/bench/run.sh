#!/usr/bin/env bash
# warp beside its rivals, in turn, on the same two namespaces: how fast, how far behind, at what cost.
#
#    A eth0 ---- eth0 B      11.1.0.1/24 -- 11.1.0.2/24     every system with one path
#      eth1 ---- eth1        11.2.0.1/24 -- 11.2.0.2/24     warp-2path, warp-4path
#      eth2 ---- eth2        ...
#      eth3 ---- eth3
#
#   run.sh [--only NAME,...] [--rounds N] [--quick] [--real-gro]
#
# --quick: one round of short runs, for use while developing. --real-gro: links that carry packets of
# their MTU only, as network cards do. $BENCH_CONF: lines for warp's configuration; $WARP_BUILD: the folder
# of the programs. netns-tests/bench/README.md tells what is measured and how.
# Exit status: 0 measured (goals met or not), 1 when a system did not work, 2 when it cannot run here.
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/../lib/lab.sh"
# shellcheck source=netns-tests/bench/systems.sh
. "$(dirname "$0")/systems.sh"
# shellcheck source=netns-tests/bench/measure.sh
. "$(dirname "$0")/measure.sh"

BENCH=$(dirname "$0")
ROUNDS=3 TCP_SECONDS=3 UDP_MS=700 PINGS=400
LAB_NAME=bench
selected=("${SYSTEMS[@]}") rounds='' real_gro=''

usage()
{
	echo "usage: run.sh [--only NAME,...] [--rounds N] [--quick] [--real-gro]" >&2
	echo "       NAMEs: ${SYSTEMS[*]}" >&2
	exit 2
}

# only NAMES: with commas between them.
only()
{
	local name
	IFS=, read -r -a selected <<<"$1"
	[ ${#selected[@]} -gt 0 ] || usage
	for name in "${selected[@]}"; do
		[[ " ${SYSTEMS[*]} " == *" $name "* ]] || { echo "no system has the name '$name'" >&2; usage; }
	done
	LAB_NAME=bench-quick
}

while [ $# -gt 0 ]; do
	case $1 in
	--only) only "${2:-}"; shift ;;
	--rounds) rounds=${2:-}; shift; [[ $rounds =~ ^[1-9][0-9]?$ ]] || usage ;;
	--quick) LAB_NAME=bench-quick ROUNDS=1 TCP_SECONDS=2 UDP_MS=300 PINGS=200 ;;
	--real-gro) real_gro=1 ;;
	*) usage ;;
	esac
	shift
done
[ -z "$rounds" ] || ROUNDS=$rounds
[ -z "$real_gro" ] || LAB_NAME+=-real-gro

why=$(lab_obstacle tun jq ping iperf3 ss warpd warp netns/blast)
if [ -n "$why" ]; then
	echo "bench: $why" >&2
	exit 2
fi
mkdir -p "$LAB_SOURCE/build"
exec 9>"$LAB_SOURCE/build/bench.lock"
if ! flock -n 9; then
	echo "bench: another one runs; waiting for it to end"
	flock 9
fi
lab_begin
SAMPLES=$LAB/samples LADDERS=$LAB_RESULTS/$LAB_NAME-ladders.jsonl FAILURES=0
: >"$SAMPLES"
: >"$LADDERS"

# complain TEXT: of the system that runs. The others go on.
complain()
{
	printf '  %s: %s\n' "$SYSTEM" "$1" >&2
	FAILURES=$((FAILURES + 1))
}

# --- the place --------------------------------------------------------------------------------------

# What is measured are the programs of now, whoever compiles meanwhile.
mkdir -p "$LAB/build/netns"
cp "$WARP_BUILD/warpd" "$WARP_BUILD/warp" "$LAB/build/" &&
	cp "$WARP_BUILD/netns/blast" "$LAB/build/netns/" || exit 2
WARP_BUILD=$LAB/build

packages=()
for name in "${selected[@]}"; do
	read -r -a words <<<"$(packages_of "$name")"
	packages+=("${words[@]}")
done
[ -z "$real_gro" ] || packages+=(ethtool)
if ! install_packages "${packages[@]}"; then
	echo "bench: packages cannot be installed: ${packages[*]}" >&2
	exit 2
fi

host A
host B
for ((n = 0; n < 4; n++)); do
	cable A "eth$n" B "eth$n"
	ip_in A addr add "11.$((n + 1)).0.1/24" dev "eth$n"
	ip_in B addr add "11.$((n + 1)).0.2/24" dev "eth$n"
	[ -z "$real_gro" ] || for name in A B; do
		run_in "$name" ethtool -K "eth$n" tso off gso off tx-udp-segmentation off gro on \
			rx-udp-gro-forwarding on || lab_die "ethtool -K eth$n in $name"
	done
done

echo "warp's benchmark: $(nproc) cores, Linux $(uname -r), TCP $(sysctl -n net.ipv4.tcp_congestion_control), $(date -u +%Y-%m-%d)"
echo "load before: $(cut -d ' ' -f 1 /proc/loadavg) (what else runs here is measured as well)"
if [ -n "$real_gro" ]; then
	echo "links: veth made to carry packets of 1,500 bytes, put together again by GRO (--real-gro)"
else
	echo "links: veth, where trains of up to 64 KiB cross whole, as no network card would; --real-gro cuts them"
fi
echo "rounds: $ROUNDS, TCP $TCP_SECONDS s, UDP steps of $UDP_MS ms, inner MTU $INNER_MTU"

# --- the rounds -------------------------------------------------------------------------------------

declare -A SKIPPED=()
begun=$SECONDS
for ((ROUND = 1; ROUND <= ROUNDS; ROUND++)); do
	for SYSTEM in "${selected[@]}"; do
		[ -z "${SKIPPED[$SYSTEM]:-}" ] || continue
		at=$SECONDS CIPHER=''
		start_system "$SYSTEM"
		case $? in
		0) measure_system ;;
		3)
			SKIPPED[$SYSTEM]=$WHY
			echo "  skip $SYSTEM: this warp does not take the configuration: $WHY"
			continue
			;;
		*) complain "does not come up: $WHY"; [ "$ROUND" -gt 1 ] || lab_explain ;;
		esac
		stop_system || complain "does not go away"
		echo "  round $ROUND: $SYSTEM${CIPHER:+ ($CIPHER)}, $((SECONDS - at)) s"
	done
done

# --- what came out ----------------------------------------------------------------------------------

jq -s -r -f "$BENCH/report.jq" --arg output rows "$SAMPLES" >"$LAB_RESULTS/$LAB_NAME.jsonl"
echo
jq -s -r -f "$BENCH/report.jq" --arg output table "$SAMPLES" | tee "$LAB_RESULTS/$LAB_NAME.txt"
echo
echo "took $((SECONDS - begun)) s; numbers in build/results/$LAB_NAME.jsonl, UDP ladders in $(basename "$LADDERS")"
[ "$FAILURES" = 0 ] || { echo "$FAILURES things did not work" >&2; exit 1; }
lab_end
