#!/usr/bin/env bash
# The map is away, and links change: the peer hears of it inside the session, and direct paths come up.
#
#    A eth0 -- router --+-- internet --+-- router -- eth0 B      port-restricted, other ports
#    A eth1 .. later ...+              +-- C eth0                knows A only
#                              map, until it is killed
#
# 200 numbered payloads a second go both ways between A and B all the time.
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq conntrack warpd warp-map warp netns/numbers

TUNNELS='tunnels:
  - name: video
    peers: [%P]
    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }'
INTERFACES='holepunch_keep_alive_interval: 1'
lab_internet
pairs_map
for end in A B C; do host $end; done
uplink A eth0 nat=port-restricted,other-ports
uplink B eth0 nat=port-restricted,other-ports
uplink C eth0
printf 'far_gate:\n%s\n%s\n%s\n' "$(far_gate B)" "$(far_gate C)" "${TUNNELS/\%P/B}" | conf A
printf 'far_gate:\n%s\n%s\n' "$(far_gate A)" "${TUNNELS/\%P/A}" | conf B
printf 'far_gate:\n%s\n%s\n' "$(far_gate A)" "${TUNNELS/\%P/A}" | conf C
start_warpd A B C

# lives FROM TO ADDRESS-OF-THE-FORMER ADDRESS-OF-THE-LATTER: a path between these, not relayed.
lives()
{
	status_is "$1" '[.peers[] | select(.name == $p) | .paths[] | select(.state == "live")
		| select((.local | startswith($l)) and (.remote | startswith($r)))] | length > 0' \
		--arg p "$2" --arg l "$3:" --arg r "$4:"
}
# both_live ADDRESS-OF-A OUTER-ADDRESS-OF-A
both_live() { lives A B "$1" "${PUBLIC[B/eth0]}" && lives B A "${ADDRESS[B/eth0]}" "$2"; }

# where_a_is: the endpoint of A's router that B has a live path to.
where_a_is()
{
	status B '[.peers[].paths[] | select(.state == "live" and (.remote | startswith($r))) | .remote] | join(" ")' \
		--arg r "${PUBLIC[A/eth0]}:"
}

# comes_up NAME ADDRESS-OF-A OUTER-ADDRESS-OF-A
comes_up()
{
	local begun
	begun=$(now_us)
	check_soon "$1" "both_live $2 $3" 10 '$(paths A; paths B)'
	record offers "$1" $((($(now_us) - begun) / 1000)) ms "<= 10000"
}

comes_up direct_with_the_map "${ADDRESS[A/eth0]}" "${PUBLIC[A/eth0]}"
check c_is_connected "not in 5 s" wait_until 'connected A C && connected C A' 5
for end in A B; do receive "$end" "at-$end" udp:127.1.0.1:9001 -n 100000 -i 60000 -w 60000; done
for end in A B; do send_along "$end" "from-$end" udp:127.1.0.1:9000 -n 100000 -r 200; done
stop map KILL

# Only C sees where A is now: it tells A, and A tells B over its second link.
uplink A eth1
comes_up a_new_link "${ADDRESS[A/eth1]}" "${PUBLIC[A/eth1]}"
# The new one may be there before anybody has looked.
wait_until 'old=$(where_a_is); [ -n "$old" ]' 5 || lab_die "A's first link does not live: $(paths B)"
nat_rebind A eth0
check the_old_port_is_dead "it is live still: $(where_a_is)" \
	wait_until '[[ $(where_a_is) != *"$old"* ]]' 5
comes_up a_rebound_link "${ADDRESS[A/eth0]}" "${PUBLIC[A/eth0]}"

# The second link goes to another network.
old=${ADDRESS[A/eth1]} new=${ADDRESS[A/eth1]%.*}.77
ip_in A addr del "$old/24" dev eth1
ip_in A addr add "$new/24" dev eth1
ip_in A route replace default via "${GATEWAY[A/eth1]}" dev eth1 metric "${METRIC[A/eth1]}"
comes_up a_moved_link "$new" "$new"

# And is all that is left.
link_cut A eth0
for_seconds 2 true
check_soon goes_on_over_the_new_link 'both_live "$new" "$new"' 2 '$(paths A)'

for end in A B; do stop "from-$end"; done
nap 1.5
for end in A B; do stop "at-$end"; done
for pair in A:B B:A; do
	from=from-${pair%:*} at=at-${pair#*:}
	lost=$(($(said "$from" .sent) - $(said "$at" .unique)))
	record offers "lost-$pair" "$lost" payloads '== 0'
	check "nothing_is_lost/$pair" "$lost of $(said "$from" .sent), the longest run $(said "$at" .longest_run_lost)" \
		[ "$lost" = 0 ]
	check "nothing_twice/$pair" "$(told "$at")" [ "$(said "$at" .duplicated)" = 0 ]
done
lab_end
