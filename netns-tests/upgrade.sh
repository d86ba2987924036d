#!/usr/bin/env bash
# From the relay to a direct path, back when that falls silent, and again: no payload is lost or doubled.
#
#    A eth0 -- router --+-- internet --+-- router -- eth0 B
#                       |      `- drops what the routers send each other, while it is told to
#                      map
#
# 500 numbered payloads a second go both ways all the time.
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq conntrack warpd warp-map warp netns/numbers

lab_internet
pairs_map
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
	check "$1/stays" "connected by '$(how)'" "$2"
}

direct_way shut
start_warpd A B
becomes relayed relayed 2
for end in A B; do receive "$end" "at-$end" udp:127.1.0.1:9001 -n 100000 -i 60000 -w 60000; done
for end in A B; do send_along "$end" "from-$end" udp:127.1.0.1:9000 -n 100000 -r 500; done
for_seconds 1 true
direct_way open
becomes direct directly 15
direct_way shut
becomes relayed_again relayed 3
direct_way open
becomes direct_again directly 15

for end in A B; do stop "from-$end"; done
# What is under way.
nap 0.3
for end in A B; do stop "at-$end"; done
for pair in A:B B:A; do
	from=from-${pair%:*} at=at-${pair#*:}
	lost=$(($(said "$from" .sent) - $(said "$at" .unique)))
	record upgrade "sent-$pair" "$(said "$from" .sent)" payloads ''
	record upgrade "lost-$pair" "$lost" payloads '== 0'
	record upgrade "longest-gap-$pair" "$(said "$at" .longest_gap_ms)" ms ''
	check "nothing_is_lost/$pair" "$lost of $(said "$from" .sent), the longest run $(said "$at" .longest_run_lost)" \
		[ "$lost" = 0 ]
	check "nothing_twice/$pair" "$(told "$at")" [ "$(said "$at" .duplicated)" = 0 ]
	check "nothing_corrupt/$pair" "$(told "$at")" [ "$(said "$at" .corrupt)" = 0 ]
done
lab_end
