#!/usr/bin/env bash
# Telling pairs of NATs: the first payload within a second whatever they are, a direct path wherever
# one can be. long_nat-matrix.sh has all pairs.
#
#    A-KIND eth0 -- router (KIND) --+-- internet --+-- router (KIND) -- eth0 B-KIND
#                                   |
#                                  map (two addresses, two ports each)
# timeout: 180
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq conntrack warpd warp-map warp netns/numbers

PAIRS=(
	port-restricted:port-restricted # both must send
	symmetric:restricted            # and the true port must be learned
	cgnat:firewall
	port-restricted:sequential        # ports are foreseen
	firewall:symmetric                # ports are tried
	symmetric-address:port-restricted # the same
	symmetric:symmetric             # nothing but the relay
	open:udp-blocked                # which is reached over TCP
	udp-blocked:udp-blocked
)
pairs_begin open restricted port-restricted symmetric symmetric-address sequential firewall cgnat \
	udp-blocked
for pair in "${PAIRS[@]}"; do
	a=${pair%:*} b=${pair#*:}
	pair_judge "$a-$b" "$a" "$b"
	record nat-pairs "$a-$b-first-payload" "${PAIR_FIRST_MS:--1}" ms "<= 1000"
	read -r _ seconds <<<"$(pair_expects "$a" "$b")"
	record nat-pairs "$a-$b-direct" "${PAIR_DIRECT_MS:--1}" ms "${seconds:+<= ${seconds}000}"
done
lab_end
