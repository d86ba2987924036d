#!/usr/bin/env bash
# What warpd costs when nothing happens, how much memory it takes, how soon it carries the first payload.
#
#    A eth0 --+            +-- eth0 B
#             +- internet -+
#    A eth1 --+     |      +-- eth1 B
#                  map
# alone: it measures the processor
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq warpd warp-map warp netns/numbers

IDLE_SECONDS=10
ROUNDS=5
lab_internet
two_hosts
start_map
conf_pair

# --- from exec to the first payload at the other application

samples=()
for ((round = 0; round < ROUNDS; round++)); do
	receive B "first$round" udp:127.1.0.1:9001 -n 3000 -i 300
	begun=$(now_us)
	launch_warpd B
	launch_warpd A
	# The gate appears in between: until then these find nobody.
	send_along A "sender$round" udp:127.1.0.1:9000 -n 1000 -r 1000
	wait_until 'connected A B 4 && connected B A 4' 5
	stop "sender$round"
	await "first$round" 5
	samples+=("$(awk -v t="$(said "first$round" .first_at_us)" -v b="$begun" 'BEGIN { printf "%.1f", (t - b) / 1000 }')")
	[ "$round" = $((ROUNDS - 1)) ] || { stop A; stop B; }
done
median=$(printf '%s\n' "${samples[@]}" | sort -g | sed -n $((ROUNDS / 2 + 1))p)
record cost start_to_first_payload "$median" ms "< 300" "$(IFS=,; echo "${samples[*]}")"
check start_to_first_payload_in_300_ms "$median ms" compare "$median" '<' 300
check start_to_first_payload_is_seen "${samples[*]}" compare "$median" '>' 0

# --- idle: four live paths, nothing to carry

running_ns() { cut -d ' ' -f 1 "/proc/$(pid "$1")/schedstat"; }
wait_until 'connected A B 4' 5
# What connecting takes (MTU discovery, registration) is over when the path's sizes are known.
wait_until 'status_is A "[.peers[].paths[].mtu] | min >= 1400"' 10
begun=$(now_us)
a=$(running_ns A) b=$(running_ns B)
for_seconds $IDLE_SECONDS 'running A && running B'
elapsed=$((($(now_us) - begun) * 1000))
percent=$(awk -v a=$(($(running_ns A) - a)) -v b=$(($(running_ns B) - b)) -v t=$elapsed \
	'BEGIN { m = a > b ? a : b; printf "%.3f", 100 * m / t }')
record cost idle_cpu "$percent" "% of a core" "< 0.5"
# Twice the goal is a failure: the machine has other things to do.
check idle_cpu_is_small "$percent %" compare "$percent" '<' 1.0

rss=$(awk '/^VmRSS/ { r = $2 > r ? $2 : r } END { print r / 1024 }' "/proc/$(pid A)/status" "/proc/$(pid B)/status")
record cost rss "$rss" MiB "< 12"
check rss_below_12_mib "$rss MiB" compare "$rss" '<' 12
rss=$(awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$(pid map)/status")
record cost rss_of_warp_map "$rss" MiB ""
lab_end
