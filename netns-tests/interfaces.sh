#!/usr/bin/env bash
# Interfaces come, go, change their name and address, lose their carrier; warp follows at once.
#
#    A eth0 --+            +-- eth0 B          eth2 of A comes and goes; eth1 suffers the rest;
#    A eth1 --+- internet -+                   eth0 stays, so that traffic goes on
#    A eth2 --+     |      +-- eth1 B
#                  map
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping tcpdump warpd warp-map warp netns/numbers netns/firstcopy

EVENTS=1000
lab_internet
two_hosts
start_map
INTERFACES='exclusion_patterns: ["hidden.*"]'
conf_pair
start_warpd A B
check connects "4 paths are not live in 5 s" wait_until 'connected A B 4 && connected B A 4' 5

# Numbered datagrams from A to B all the time; they must all come once, whatever happens to eth1 and eth2.
receive B steady udp:127.1.0.1:9001 -n 60000 -i 3000
send_along A sender udp:127.1.0.1:9000 -n 60000 -r 500

# registered_at_map ADDRESS: what the map has told B about A.
registered_at_map() { status_is B '.peers[0].registered | any(.observed | startswith($a + ":"))' --arg a "$1"; }
uses() { status_is A '.interfaces | any(.name == $i and .address != null)' --arg i "$1"; }
uses_address() { status_is A '.interfaces | any(.address | contains($a))' --arg a "$1"; }
paths_on() { status A '[.peers[].paths[] | select(.interface == $i)] | length' --arg i "$1"; }

# silent NAME IFNAME ADDRESS: no UDP of warp leaves this link from that address any more.
silent()
{
	local count
	count=$(link_udp A "$2" "$3")
	for_seconds 1 true
	check "$1" "$(($(link_udp A "$2" "$3") - count)) datagrams in 1 s" \
		[ "$(link_udp A "$2" "$3")" = "$count" ]
}

# --- added

samples=
for round in 1 2 3; do
	next=11.$((LAB_NETS + 1)).0.2
	: >"$LAB/first$round.log"
	spawn A "first$round" "$WARP_BUILD/netns/firstcopy" "$next" 3000
	wait_until "grep -q ready $LAB/first$round.log" 2
	uplink A eth2 # link, address and route at once, as a DHCP client would
	await "first$round" 5
	took=$(said "first$round" .first_copy_ms)
	samples+=${samples:+, }${took:--1}
	[ "$round" = 3 ] || {
		ip_in A link del dev eth2
		wait_until '! uses eth2' 2
	}
done
median=$(tr -d ' ' <<<"$samples" | tr ',' '\n' | sort -g | sed -n 2p)
record interfaces added_carries_data_after "$median" ms "<= 100" "$samples"
check added_carries_data_soon "took $samples ms" compare "$median" '<=' 300
compare "$median" '>' 0 || fail added_carries_data_at_all "$samples"
check added_is_registered "B does not hear of $next" wait_until "registered_at_map $next" 3

# --- deleted

ip_in A link del dev eth2
check deleted_is_forgotten "A still has it" wait_until '! uses eth2 && [ "$(paths_on eth2)" = 0 ]' 3
check deleted_is_deregistered "the map still has it" wait_until "! registered_at_map $next" 3

# --- renamed to what is excluded, and back

old=${ADDRESS[A/eth1]}
link_watch A eth1
ip_in A link set dev eth1 down
ip_in A link set dev eth1 name hidden1
ip_in A link set dev hidden1 up
ip_in A addr replace "$old/24" dev hidden1
ip_in A route replace default via "${GATEWAY[A/eth1]}" dev hidden1 metric 300
check renamed_is_excluded "A still uses $old" wait_until "! uses_address $old" 2
silent renamed_is_silent eth1 "$old"
check renamed_is_deregistered "the map still has it" wait_until "! registered_at_map $old" 3
ip_in A link set dev hidden1 down
ip_in A link set dev hidden1 name eth1
ip_in A link set dev eth1 up
addresses A eth1
check renamed_back_is_used "no path" wait_until 'uses eth1 && connected A B 4' 3

# --- renumbered

new=${old%.2}.77
ip_in A addr del "$old/24" dev eth1
ip_in A addr add "$new/24" dev eth1
ip_in A route replace default via "${GATEWAY[A/eth1]}" dev eth1 metric 300
check renumbered_is_used "A does not use $new" wait_until "uses_address $new && connected A B 4" 3
check renumbered_old_is_forgotten "A still uses $old" not uses_address "$old:"
silent renumbered_old_is_silent eth1 "$old"
check renumbered_is_registered "B hears of $old, or not of $new" \
	wait_until "registered_at_map $new && ! registered_at_map $old" 3
ip_in A addr del "$new/24" dev eth1
addresses A eth1
wait_until "uses_address $old && connected A B 4" 3

# --- down and up, carrier lost and found

ip_in A link set dev eth1 down
check down_is_forgotten "A still uses it" wait_until '! uses eth1' 3
check down_is_deregistered "the map still has it" wait_until "! registered_at_map $old" 3
ip_in A link set dev eth1 up
addresses A eth1
check up_is_used "no path" wait_until 'uses eth1 && connected A B 4' 3
link_down A eth1  # of which the kernel tells once a second at most
check carrier_lost_is_forgotten "A still uses it" wait_until '! uses eth1' 3
check carrier_lost_is_deregistered "the map still has it" wait_until "! registered_at_map $old" 3
link_up A eth1
check carrier_found_is_used "no path" wait_until 'uses eth1 && connected A B 4' 3

# --- many random events, as fast as the kernel takes them

sockets() { run_in A ss -Huanp | grep -c "pid=$(pid A),"; }
descriptors() { find "/proc/$(pid A)/fd" -mindepth 1 | wc -l; }
# lowest COUNT: a socket more may be open for a while, to find out about the NAT of a link that has just come.
lowest()
{
	for _ in 1 2 3 4 5; do
		"$1"
		nap 0.2
	done | sort -n | head -n 1
}
sockets_before=$(lowest sockets)
descriptors_before=$(lowest descriptors)
RANDOM=4711
for ((i = 0; i < EVENTS; i++)); do
	case $((RANDOM % 14)) in
	0) echo "link set dev eth1 down" ;;
	1) echo "link set dev eth1 up" ;;
	2) echo "addr add $old/24 dev eth1" ;;
	3) echo "addr del $old/24 dev eth1" ;;
	4) echo "addr add 11.77.$((RANDOM % 200)).9/24 dev eth1" ;;
	5) echo "addr flush dev eth1" ;;
	6) echo "link add name eth2 type veth peer name hidden2" ;;
	7) echo "link del dev eth2" ;;
	8) echo "link set dev eth2 up" ;;
	9) echo "link set dev hidden2 up" ;;
	10) echo "link set dev hidden2 down" ;;
	11) echo "addr add 11.78.$((RANDOM % 200)).9/24 dev eth2" ;;
	12) printf 'link set dev eth2 down\nlink set dev eth2 name eth3\nlink set dev eth3 up\n' ;;
	13) printf 'link set dev eth3 down\nlink set dev eth3 name eth2\nlink set dev eth2 up\n' ;;
	esac
done >"$LAB/events"
# In ten bursts, so that some notifications are handled in between and some all at once. Doing what
# is done and undoing what is not are part of the game.
split -n l/10 "$LAB/events" "$LAB/burst."
for burst in "$LAB"/burst.*; do
	ip -n "$(ns A)" -batch "$burst" -force >/dev/null 2>&1
	link_down A eth1
	nap 0.05
	link_up A eth1
done
for dev in eth2 eth3; do ip -n "$(ns A)" link del dev $dev 2>/dev/null; done
ip_in A addr flush dev eth1
ip_in A link set dev eth1 up
addresses A eth1
check events_end_in_the_right_state "$(status A '.interfaces | map("\(.name) \(.address)") | join(", ")')" \
	wait_until '[ "$(status A ".interfaces | length")" = 2 ] && connected A B 4 && connected B A 4' 5
# One for each link may be in use to find out about its NAT; a thousand events would leak more.
check events_leak_no_socket "$(sockets) sockets, $sockets_before before" \
	wait_until '[ "$(sockets)" -le $((sockets_before + 2)) ]' 10
check events_leak_no_descriptor "$(descriptors) descriptors, $descriptors_before before" \
	wait_until '[ "$(descriptors)" -le $((descriptors_before + 2)) ]' 10
check no_crash "warpd of A has ended" running A

# --- the default route inside warp0

ip_in A route add 0.0.0.0/1 dev warp0
ip_in A route add 128.0.0.0/1 dev warp0
ip_in A route add default dev warp0 metric 1
check default_route_in_warp0 "no answer" run_in A ping -c 5 -i 0.1 -W 1 -q 10.44.0.2
for_seconds 1 true
check_soon default_route_in_warp0/paths_stay 'connected A B 4' 2 '$(live_paths A B) paths are live'
spawn A loop tcpdump -i warp0 -n -l -Q out udp and net 11.0.0.0/8
check default_route_in_warp0/is_watched "$(cat "$LAB/loop.log")" wait_until 'grep -q "listening on" "$LAB/loop.log"' 5
for_seconds 1 true
stop loop
check default_route_in_warp0/no_loop "$(grep -m 1 'IP ' "$LAB/loop.log")" not grep -q 'IP ' "$LAB/loop.log"

# --- and the datagrams meanwhile

stop sender
wait_until '! running steady' 6
await steady 1
last=$(said steady .last)
lost=$((last + 1 - $(said steady .unique)))
check traffic_never_noticed "lost $lost of $last, $(said steady .duplicated) came twice" \
	[ "$lost" = 0 -a "$(said steady .duplicated)" = 0 ]
lab_end
