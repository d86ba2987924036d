#!/usr/bin/env bash
# A million datagrams of garbage change nothing: random, truncated, replayed, reflected, bit-flipped ones.
#
#    A eth0 --+            +-- eth0 B
#             +- internet -+              the attacker is the internet: it has seen everything from the
#    A eth1 --+     |      +-- eth1 B     first datagram on, and claims any source address
#                  map
# alone: it keeps both processors busy
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping warpd warp-map warp netns/numbers netns/garbage

COUNT=${HOSTILE_COUNT:-1000000}
RATE=80000
lab_internet
two_hosts
start_map
conf_pair
spawn internet capture "$WARP_BUILD/netns/garbage" capture "$LAB/wire" 4000
wait_until 'run_in internet ss -Hl0 | grep -q garbage || [ -e "$LAB/wire" ]' 2
start_warpd A B
check connects "4 paths are not live in 5 s" wait_until 'connected A B 4 && connected B A 4' 5
wait_until 'status_is A "[.interfaces[].maps[].registered] | length == 2 and all"' 5
wait_until 'status_is B "[.peers[0].registered[]] | length == 2"' 5
# Recorded are handshakes, registrations, probes of all paths, and payloads.
send A udp:127.1.0.1:9000 -n 200 -r 1000 >/dev/null
for_seconds 1 true
stop capture

drops() { status "$1" '[.drops[]] | add'; }
age() { status "$1" '.peers[0].session_age'; }
before=$(state_of A; state_of B)
drops_before=$(($(drops A) + $(drops B)))
age_before=$(age A) begun=$(now_us)
memory_before=$(awk '/^VmRSS/ { print $2 }' "/proc/$(pid A)/status")
count=$((COUNT / RATE + 2))
receive B numbers udp:127.1.0.1:9001 -n $((count * 200)) -i 3000
send_along A sender udp:127.1.0.1:9000 -n $((count * 200)) -r 200
run_in internet "$WARP_BUILD/netns/garbage" send "$LAB/wire" "$COUNT" $RATE rRtxfpeb | sed 's/^/  /'
check a_warpd_lives "it has ended" running A
check b_warpd_lives "it has ended" running B
check map_lives "it has ended" running map
await sender 30
await numbers 30
check traffic_goes_on "$(told numbers)" all_once numbers

# A flood may hold up the answers of a path; what is held up comes.
unchanged() { after=$(state_of A; state_of B) && [ "$before" = "$after" ]; }
if wait_until unchanged 10; then
	ok status_is_unchanged
else
	fail status_is_unchanged "see the difference"
	diff <(jq . <<<"$before") <(jq . <<<"$after") | head -n 40 | sed 's/^/    /'
fi
least=$((${age_before%.*} + ($(now_us) - begun) / 1000000 - 1))
check session_is_the_same "it is $(age A) s old, was $age_before, $least at least" compare "$(age A)" '>=' "$least"
dropped=$(($(drops A) + $(drops B) - drops_before))
check garbage_is_counted "$dropped drops" [ "$dropped" -ge $((COUNT / 10)) ]
record hostile counted_drops "$dropped" datagrams ""
memory=$(awk '/^VmRSS/ { print $2 }' "/proc/$(pid A)/status")
check memory_does_not_grow "$memory_before kB before, $memory kB after" \
	[ "$memory" -le $((memory_before + 4096)) ]
check map_still_serves "A has no answer from it" \
	wait_until 'status_is A "[.maps[].state == \"connected\"] | all"' 12
lab_end
