#!/usr/bin/env bash
# What remains of a strategy when it has succeeded, and what becomes of the path when the NAT forgets it.
#
#    A eth0 -- router (KIND) --+-- internet --+-- router (firewall) -- eth0 B
#    C eth0 -- router (symmetric) -+          |
#                                            map (two addresses, two ports each)
#
# A is started once behind a symmetric router and once behind one that counts. C and A, both symmetric,
# have nothing but the relay, and say so.
# timeout: 180
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq conntrack warpd warp-map warp netns/numbers

RATE=100
lab_internet
pairs_map
for name in Symmetric Sequential B C; do host "$name"; done
uplink Symmetric eth0 nat=symmetric
uplink Sequential eth0 nat=sequential
uplink B eth0 nat=firewall
uplink C eth0 nat=symmetric

# origin HOST PEER: of its live paths that are direct.
origin()
{
	status "$1" "[.peers[] | select(.name == \"$2\") | .paths[] | select(.state == \"live\") | .origin]
		| map(select(. != \"relay\")) | unique | join(\"+\")"
}
# remotes HOST PEER: where its live paths that are direct lead to.
remotes()
{
	status "$1" ".peers[] | select(.name == \"$2\") | .paths[]
		| select(.state == \"live\" and .origin != \"relay\") | .remote"
}
# However it came about.
both_directly() { [ -n "$(origin "$1" "$2")" ] && [ -n "$(origin "$2" "$1")" ]; }
# both_by HOST FINDER ORIGIN: the finder's word. What it hits may be the mapping of the other's own socket,
# from which that has had a path all the while, by the map.
both_by() { [ "$(origin "$2" "$1")" = "$3" ] && both_directly "$1" "$2"; }
pair_state() { status "$1" ".peers[] | select(.name == \"$2\") | .pairs[0].state"; }

# sockets HOST: UDP sockets of its daemon on its link; they are not connected.
sockets() { run_in "$1" ss -Huanp src "${ADDRESS[$1/eth0]}" | grep -c "pid=$(pid "$1"),"; }

# try HOST ORIGIN SECONDS [PATIENCE]: behind a NAT that is worse than B's, so B is who finds it.
try()
{
	local a=$1 begun took patience=${4:-$3}
	pair_conf "$a" B
	pair_conf B "$a"
	start_warpd "$a" B
	begun=$(now_us)
	check_soon "$2/both_have_found_it" "both_by $a B $2" "$patience" "\$(origin $a B), \$(origin B $a)"
	took=$((($(now_us) - begun) / 1000))
	record punch "$2" "$took" ms "<= ${3}000"
	# The interface's own, the one that has won, and perhaps one that tests the NAT.
	check_soon "$2/what_lost_is_closed" "[ \$(sockets $a) -le 3 ] && [ \$(sockets B) -le 2 ]" 3 \
		"\$(sockets $a) and \$(sockets B) sockets"
	check "$2/pair_is_direct" "it is $(pair_state "$a" B)" status_is B '.peers[0].pairs[0].state == "direct"'

	receive B at-B udp:127.1.0.1:9001 -n 50000 -i 60000 -w 60000
	send_along "$a" from-A udp:127.1.0.1:9000 -n 50000 -r $RATE
	nap 1
	# What was is not told by there being none for a while: that may be over before anybody has looked.
	wait_until "remotes B $a >$LAB/old && [ -s $LAB/old ]" 5
	nat_rebind "$a" eth0
	check_soon "$2/the_old_path_dies" "! remotes B $a | grep -qxFf $LAB/old" 10 "\$(remotes B $a)"
	check_soon "$2/and_is_found_anew" "both_directly $a B" 45 "\$(origin $a B), \$(origin B $a)"
	nap 1
	stop from-A
	nap 0.2
	stop at-B
	check "$2/payloads_go_on_meanwhile" "$(told at-B), gap $(said at-B .longest_gap_ms) ms" \
		compare "$(said at-B .longest_gap_ms)" '<' 1000
	record punch "$2-gap-when-nat-forgets" "$(said at-B .longest_gap_ms)" ms '< 1000'
	check_soon "$2/nothing_is_left_open" "[ \$(sockets $a) -le 3 ] && [ \$(sockets B) -le 2 ]" 5 \
		"\$(sockets $a) and \$(sockets B) sockets"
	stop "$a"
	stop B
	rm -f "$LAB/$a.sock" "$LAB/B.sock"
}

# By chance 3 of 10,000 rounds find nothing; the next begins 15 s later.
try Symmetric probe 15 45
try Sequential prediction 5

pair_conf Symmetric C
pair_conf C Symmetric
start_warpd Symmetric C
check_soon symmetric/connected "connected Symmetric C && connected C Symmetric" 3 "not connected"
for end in Symmetric C; do
	check_soon "symmetric/$end/says_that_nothing_helps" "warp -s $LAB/$end.sock status |
		grep -q 'no direct path from eth0 to .*: nothing suits both NATs'" 10 \
		"\$(status $end '.peers[0].pairs' -c)"
done
# One may be open for a while, to test the NAT.
check_soon symmetric/nothing_is_opened '[ "$(sockets C)" -le 2 ]' 5 "\$(sockets C) sockets"
lab_end
