#!/usr/bin/env bash
# A network that lets no UDP through: the map is reached over TCP, and UDP takes over without loss when it
# passes again. Strangers who connect to the map and say nothing are in nobody's way.
#
#    A eth0 -- router --+-- internet --+-- router (symmetric) -- eth0 B
#                       |      `- drops A's UDP, while it is told to
#                  map, C
#
# 500 numbered payloads a second go both ways in each part.
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq conntrack ss warpd warp-map warp netns/numbers

lab_internet
pairs_map
host A
host B
host C
uplink A eth0 nat=port-restricted
uplink B eth0 nat=symmetric
uplink C eth0
pair_conf A B
pair_conf B A

# udp_way shut|open: of A, silently.
run_in internet nft -f - <<END || lab_die "the rules of the internet"
table ip way {
	chain forward { type filter hook forward priority filter; }
}
END
udp_way()
{
	run_in internet nft flush chain ip way forward || lab_die "udp_way"
	[ "$1" = open ] || run_in internet nft "add rule ip way forward ip saddr ${PUBLIC[A/eth0]} meta l4proto udp drop
		add rule ip way forward ip daddr ${PUBLIC[A/eth0]} meta l4proto udp drop" || lab_die "udp_way"
}

how() { echo "$(pair_how A)/$(pair_how B)"; }
is_how() { [ "$(how)" = "$1/$1" ]; }
streams() { run_in map ss -Htn state established 'sport = :443' | wc -l; }

# part_begins: flows. part_ends: counts what became of them.
part_begins()
{
	local end
	for end in A B; do receive "$end" "at-$end" udp:127.1.0.1:9001 -n 100000 -i 60000 -w 60000; done
	for end in A B; do send_along "$end" "from-$end" udp:127.1.0.1:9000 -n 100000 -r 500; done
	for_seconds 1 true
}
LOST=0 GAP=0
part_ends()
{
	local end gap
	for end in A B; do stop "from-$end"; done
	nap 1.5 # what is under way
	for end in A B; do stop "at-$end"; done
	LOST=$(($(said from-A .sent) - $(said at-B .unique) + $(said from-B .sent) - $(said at-A .unique)))
	GAP=0
	for end in A B; do
		gap=$(said "at-$end" '.longest_gap_ms | floor')
		[ "$gap" -le "$GAP" ] || GAP=$gap
	done
	check "$1/nothing_twice" "$(told at-A); $(told at-B)" \
		[ "$(said at-A .duplicated)$(said at-B .duplicated)" = 00 ]
	record tcp "$1-lost" "$LOST" payloads ''
	record tcp "$1-longest-gap" "$GAP" ms ''
}

# --- blocked from the beginning, then open

udp_way shut
begun=$(now_us)
start_warpd A B
check_soon connects_over_tcp 'is_how relay-tcp' 8 "connected by '\$(how)'"
record tcp connects $((($(now_us) - begun) / 1000)) ms ''
check the_map_says_so "$(status A '.interfaces[0].maps')" status_is A '.interfaces[0].maps[0] | .over == "tcp" and .registered'
part_begins
udp_way open
check_soon udp_takes_over 'is_how relay' 20 "connected by '\$(how)'"
for_seconds 2 true
part_ends back_to_udp
check back_to_udp/nothing_is_lost "$LOST payloads" [ "$LOST" = 0 ]
check_soon the_connection_goes '[ "$(streams)" = 0 ]' 60 "\$(streams) are open"

# --- blocked in the middle

part_begins
udp_way shut
check_soon tcp_takes_over 'is_how relay-tcp' 10 "connected by '\$(how)'"
for_seconds 1 true
part_ends blocked
check blocked/soon "$GAP ms without a payload" [ "$GAP" -le 5000 ]

# --- strangers

# Each says nothing, or the beginning of a datagram that never ends.
part_begins
spawn C strangers timeout 30 bash -c 'for ((n = 0; n < 300; n++)); do
	exec {fd}<>"/dev/tcp/$1/443" || break
	[ $((n % 2)) = 0 ] || printf "\x04\x00abc" >&$fd
done 2>/dev/null
echo connected
sleep 30' bash "${ADDRESS[map/eth0]}"
wait_until "grep -q connected $LAB/strangers.log" 10
held=$(streams)
check only_some_strangers_are_held "$held connections" [ "$held" -ge 1 -a "$held" -le 70 ]
check_soon strangers_have_to_go '[ "$(streams)" = 1 ]' 20 "\$(streams) are open"
part_ends strangers
check strangers/nothing_is_lost "$LOST payloads" [ "$LOST" = 0 ]
record tcp strangers-held "$held" connections '<= 65'
stop strangers

# --- the map is restarted

part_begins
stop map KILL
start_map
# B may take TCP for a moment as well.
check_soon a_map_that_restarts_is_found_again '[ "$(streams)" -ge 1 ] && is_how relay-tcp' 15 \
	"\$(streams) are open, connected by '\$(how)'"
for_seconds 6 true
part_ends restart
check restart/soon "$GAP ms without a payload" [ "$GAP" -ge 20 -a "$GAP" -le 6000 ]
check_soon restart/over_tcp 'is_how relay-tcp' 3 "connected by '\$(how)'"

# --- a port that another has

cat >"$LAB/other.yaml" <<END
private_key_file: $(private_key other)
listen: ["${ADDRESS[map/eth0]}:13200"]
listen_tcp: ["${ADDRESS[map/eth0]}:443"]
END
: >"$LAB/other.log"
spawn map other "$WARP_BUILD/warp-map" -c "$LAB/other.yaml"
check a_taken_port_is_no_reason_to_end "$(cat "$LAB/other.log")" wait_until 'listens map udp 13200' 5
check a_taken_port_is_told "$(cat "$LAB/other.log")" \
	wait_until "grep -q 'listen_tcp: .*:443 cannot be opened.*in use' $LAB/other.log" 2
lab_end
