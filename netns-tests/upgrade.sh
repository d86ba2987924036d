#!/usr/bin/env bash
# From the relay to a direct path, back when that falls silent, and again: no payload is lost or doubled.
#
#    A eth0 -- router --+-- internet --+-- router -- eth0 B
#                       |      `- drops what the routers send each other, while it is told to
#                      map
#
# Numbered payloads go both ways all the time, 500 a second and then 5,000; or RATES="20000".
# timeout: 180
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq conntrack warpd warp-map warp netns/numbers
RATES=${RATES:-500 5000}

lab_internet
PAIRS_MAP='relay_limit: 100mbit' pairs_map
host A
host B
uplink A eth0 nat=port-restricted
uplink B eth0 nat=port-restricted
pair_conf A B
pair_conf B A

# direct_way shut|open: silently.
run_in internet nft -f - <<END || lab_die "the rules of the internet"
table ip way {
	chain forward { type filter hook forward priority filter; }
}
END
direct_way()
{
	run_in internet nft flush chain ip way forward || lab_die "direct_way"
	[ "$1" = open ] || run_in internet nft add rule ip way forward ip saddr "{ ${PUBLIC[A/eth0]}, ${PUBLIC[B/eth0]} }" \
		ip daddr "{ ${PUBLIC[A/eth0]}, ${PUBLIC[B/eth0]} }" counter drop || lab_die "direct_way"
}

directly() { pair_is_direct A && pair_is_direct B; }
relayed() { [[ $(pair_how A) == relay* && $(pair_how B) == relay* ]]; }
how() { echo "$(pair_how A)/$(pair_how B)"; }

# becomes NAME CONDITION SECONDS: and stays so for a moment.
becomes()
{
	local begun
	begun=$(now_us)
	check_soon "$1" "$2" "$3" "connected by '\$(how)'"
	record upgrade "$1" $((($(now_us) - begun) / 1000)) ms "<= $(($3 * 1000))"
	for_seconds 2 true
	check_soon "$1/stays" "$2" 2 "connected by '\$(how)'"
}

direct_way shut
start_warpd A B
# On a machine that is busy with other things these would be what loses payloads.
for program in map A B; do renice -n -15 -p "$(pid "$program")" >/dev/null; done
# overflowed: datagrams for which their sockets had no room.
overflowed()
{
	local host
	for host in A B map; do run_in $host awk '/^Udp: [0-9]/ { print $6 }' /proc/net/snmp; done |
		awk '{ s += $1 } END { print s }'
}

# to_and_fro RATE
to_and_fro()
{
	local end pair from at lost before overflow
	before=$(overflowed)
	direct_way shut
	becomes "$1/relayed" relayed 10 # idle, it is probed every 5 s
	for end in A B; do receive "$end" "at-$end-$1" udp:127.1.0.1:9001 -n 1000000 -i 60000 -w 60000; done
	for end in A B; do send_along "$end" "from-$end-$1" udp:127.1.0.1:9000 -n 1000000 -r "$1"; done
	for_seconds 1 true
	direct_way open
	becomes "$1/direct" directly 15
	direct_way shut
	becomes "$1/relayed_again" relayed 3
	direct_way open
	becomes "$1/direct_again" directly 15
	for end in A B; do stop "from-$end-$1"; done
	# What is under way.
	nap 1.5
	for end in A B; do stop "at-$end-$1"; done
	overflow=$(($(overflowed) - before))
	for pair in A:B B:A; do
		from=from-${pair%:*}-$1 at=at-${pair#*:}-$1
		lost=$(($(said "$from" .sent) - $(said "$at" .unique)))
		record upgrade "$1/sent-$pair" "$(said "$from" .sent)" payloads ''
		record upgrade "$1/lost-$pair" "$lost" payloads '== 0'
		record upgrade "$1/overflow" "$overflow" datagrams ''
		record upgrade "$1/longest-gap-$pair" "$(said "$at" .longest_gap_ms)" ms ''
		check "$1/nothing_is_lost/$pair" \
			"$lost of $(said "$from" .sent), and sockets overflowed by $overflow" [ "$lost" -le "$overflow" ]
		check "$1/nothing_twice/$pair" "$(told "$at")" [ "$(said "$at" .duplicated)" = 0 ]
		check "$1/nothing_corrupt/$pair" "$(told "$at")" [ "$(said "$at" .corrupt)" = 0 ]
	done
}
for rate in $RATES; do to_and_fro "$rate"; done
lab_end
