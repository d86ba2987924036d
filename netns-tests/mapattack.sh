#!/usr/bin/env bash
# A map under attack: floods from spoofed and from real addresses, and nodes that ask for what they should
# not get. Nobody gets more bytes than came in his name, and honest nodes are served meanwhile.
#
#    A, B -- internet -- map       A and B start, and start again, while it lasts; then UDP is blocked for A
#               |
#               X                  mapflood, mapcallers and mapabuse (see there). What claims to come from
#                                  11.200.0.0/13 is spoofed: answers to it go nowhere. All of
#                                  11.208.0.0/13 is X's own
#
# Bytes are counted at the map, IP headers included, by the addresses that each kind of attack has.
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping warpd warp-map warp netns/mapflood netns/mapabuse \
	netns/mapcallers ss

SECONDS_LONG=${ATTACK_SECONDS:-10} # at least
LONGEST=80
RATE=${ATTACK_RATE:-24000} # datagrams a second, of all kinds
KINDS=sgctpiyk
BOUND=10 # seconds in which honest nodes are connected; they are in 0.3 s when nobody attacks
RELAY_LIMIT=125000 # bytes a second
declare -A NAMES=([s]=initiations_spoofed [g]=garbage [c]=unasked_cookies_and_responses
	[t]=unknown_sessions [p]=replayed_initiations [i]=initiations_with_cookies [y]=unknown_keys
	[k]=initiations_for_another_key)
declare -A NETWORK=([s]=200 [g]=201 [c]=202 [t]=203 [p]=204 [i]=208 [y]=209 [k]=210 [liar]=207
	[node]=211 [requests]=205 [callers]=215)

lab_internet
for h in A B X; do
	host $h
	uplink $h eth0
done
ip_in internet route add blackhole 11.200.0.0/13
ip_in internet route add 11.208.0.0/13 via "${ADDRESS[X/eth0]}"
ip_in X route add local 11.208.0.0/13 dev lo
host map
uplink map eth0
# blocked yes|no: UDP of A.
run_in internet nft -f - <<END || lab_die "the rules of the internet"
table ip way {
	chain forward { type filter hook forward priority filter; }
}
END
blocked()
{
	run_in internet nft flush chain ip way forward || lab_die "blocked"
	[ "$1" = no ] || run_in internet nft "add rule ip way forward ip saddr ${ADDRESS[A/eth0]} meta l4proto udp drop
		add rule ip way forward ip daddr ${ADDRESS[A/eth0]} meta l4proto udp drop" || lab_die "blocked"
}
MAP_AT=${ADDRESS[map/eth0]}
cat >"$LAB/map.yaml" <<END
private_key_file: $(private_key map)
listen: ["$MAP_AT:13116"]
relay_limit: 1mbit
max_nodes: 2000
END
LAB_MAP_KEY=$(public_key map)
LAB_MAP=$MAP_AT:13116
spawn map map "$WARP_BUILD/warp-map" -v -c "$LAB/map.yaml"
wait_until 'listens map udp 13116' 5 || lab_die "warp-map does not listen"

{
	echo 'table ip attack {'
	for k in "${!NETWORK[@]}"; do
		echo "counter in-$k {}; counter out-$k {}"
	done
	echo 'chain in { type filter hook input priority 0;'
	for k in "${!NETWORK[@]}"; do echo "ip saddr 11.${NETWORK[$k]}.0.0/16 counter name in-$k"; done
	echo '}'
	echo 'chain out { type filter hook output priority 0;'
	for k in "${!NETWORK[@]}"; do echo "ip daddr 11.${NETWORK[$k]}.0.0/16 counter name out-$k"; done
	echo '}'
	echo '}'
} >"$LAB/rules"
run_in map nft -f "$LAB/rules" || lab_die "nft"

# bytes in|out KIND
bytes()
{
	run_in map nft -j list counter ip attack "$1-$2" | jq '[.nftables[].counter.bytes // empty] | add'
}
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$(pid map)/status"; }
# The CPU time that it has had, in ms.
cpu() { awk '{ print ($14 + $15) * 10 }' "/proc/$(pid map)/stat"; }

conf_pair
start_warpd A B
check connects_in_peace "not in 5 s" wait_until 'connected A B && connected B A' 5
stop A
stop B
before=$(resident)

# not_amplified NAME KIND TIMES: out is at most so many times what came in.
not_amplified()
{
	local in out
	in=$(bytes in "$2")
	out=$(bytes out "$2")
	record mapattack "amplification_$1" "$(awk -v i="$in" -v o="$out" 'BEGIN { printf "%.3f", i ? o / i : -1 }')" \
		ratio "<= $3"
	check "not_amplified/$1" "$in bytes in, $out out" [ $((in > 0 && out <= in * $3)) = 1 ]
}
# --- requests for connections alone, and a kernel that keeps nothing of them

syn_cookies() { run_in map sh -c "echo $1 >/proc/sys/net/ipv4/tcp_syncookies" || lab_die "syn_cookies"; }
syn_cookies 2
run_in X "$WARP_BUILD/netns/mapcallers" "$MAP_AT:443" "$LAB_MAP_KEY" 3 >"$LAB/requests.log"
not_amplified tcp_requests_to_syn_cookies requests 1
syn_cookies 1

# --- the attack

spawn X abuse "$WARP_BUILD/netns/mapabuse" "$LAB_MAP" "$LAB_MAP_KEY" "$LONGEST" "$(public_key A)"
wait_until 'grep -q ready "$LAB/abuse.log"' 20 || lab_die "mapabuse cannot begin"
spawn X flood "$WARP_BUILD/netns/mapflood" "$LAB_MAP" "$LAB_MAP_KEY" "$LONGEST" "$RATE" $KINDS \
	"$(public_key A)"
wait_until 'grep -q ready "$LAB/flood.log"' 20 || lab_die "mapflood cannot begin"
spawn X callers "$WARP_BUILD/netns/mapcallers" "$MAP_AT:443" "$LAB_MAP_KEY" "$LONGEST"
wait_until 'grep -q ready "$LAB/callers.log"' 20 || lab_die "mapcallers cannot begin"
used=$(cpu)
begun=$(now_us)
# How long it has lasted.
lasted() { echo $((($(now_us) - begun) / 1000000)); }
wait_until '[ "$(bytes in s)" -gt 1000000 ]' 10 || lab_die "there is no flood"

# registered HOST: at the map, and its interface's address was observed.
registered() { status_is "$1" '[.interfaces[].maps[].registered] | length == 1 and all'; }
# serve NAME: both start; how long until they are registered and connected?
times=()
serve()
{
	local begun
	begun=$(now_us)
	start_warpd A B
	if wait_until 'registered A && registered B && connected A B && connected B A' $BOUND; then
		times+=($((($(now_us) - begun) / 1000)))
		ok "$1"
	else
		fail "$1" "not in $BOUND s: $(paths A)"
	fi
}
serve honest_nodes_find_each_other
check payloads_pass "no answer" run_in A ping -c 3 -i 0.1 -W 1 -q 10.44.0.2
check the_flood_goes_on "it has ended before" running flood
stop A
stop B
serve honest_nodes_that_start_again_find_each_other
stop A
stop B
blocked yes
serve honest_nodes_whose_udp_is_blocked_find_each_other
check over_tcp "$(status A '.interfaces[].maps')" status_is A '[.interfaces[].maps[].over] == ["tcp"]'
wait_until '[ "$(lasted)" -ge "$SECONDS_LONG" ]' "$SECONDS_LONG"
peak=$(resident)
check the_flood_still_goes_on "it has ended before" running flood
used=$(($(cpu) - used))
seconds=$(lasted)
check the_attackers_end_well "one of them has not" eval 'stop flood && stop abuse && stop callers'
check the_map_lives "it has ended" running map
tail -n 1 "$LAB/flood.log" "$LAB/abuse.log" "$LAB/callers.log" | sed 's/^/  /'
record mapattack honest_connect_ms "$(printf '%s\n' "${times[@]:--1}" | sort -n | tail -n 1)" ms \
	"< $((BOUND * 1000))" "$(IFS=,; echo "${times[*]}")"
record mapattack map_cpu_ms "$used" ms ""

# --- what it has brought

for ((i = 0; i < ${#KINDS}; i++)); do
	k=${KINDS:i:1}
	not_amplified "${NAMES[$k]}" "$k" 1
done
not_amplified tcp_of_strangers callers 1
not_amplified tcp_requests_spoofed requests 2
not_amplified registered_from_an_address_of_others liar 3
not_amplified questions_for_many_keys node 3
of_abuse() { tail -n 1 "$LAB/abuse.log" | jq "$1"; }
check nobody_registers_for_another "$(of_abuse .victim_told) times were the attackers told of A" \
	[ "$(of_abuse .victim_told)" = 0 ]
check nothing_is_relayed_to_who_does_not_want_it "$(of_abuse .p) datagrams" [ "$(of_abuse .p)" = 0 ]
check something_is_relayed "nothing" [ "$(of_abuse .q)" -gt 0 ]
relayed=$(($(of_abuse .q) * 1000))
check no_more_is_relayed_than_allowed "$relayed bytes in $seconds s" \
	[ $relayed -le $((RELAY_LIMIT * (seconds + 3))) ]
record mapattack relayed_bytes_per_second $((relayed / (seconds + 1))) B/s "<= $RELAY_LIMIT"

# 2,000 nodes, each with two sessions, all that they may want, and buffers that were touched.
peak=$((peak - before))
record mapattack memory_grown_kb "$peak" kB "< 16384"
check memory_is_bounded "$peak kB more than before" [ "$peak" -lt 16384 ]

# --- peace again: they are still there

check honest_nodes_are_connected "they are not" wait_until 'connected A B && connected B A' 5
check map_ends_well "not status 0" stop map
grep -A 20 '^ends' "$LAB/map.log" | sed 's/^/  /'
lab_end
