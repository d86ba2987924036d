#!/usr/bin/env bash
# The laboratory itself: is every kind of NAT what it says, do routers do what they are told to, and do
# links drop what they are told to?
#
#   A-KIND eth0 -- router (each kind of NAT) --+
#                                              +-- internet -- S (two addresses, two ports)
#   B -- link that loses 30 % -----------------+
#
# natprobe tells mapping and filtering from what S sees and what comes back (RFC 4787, RFC 5780). Two
# programs of others, with servers of their own, say what they think of the same routers: `stun` (RFC
# 3489) and turnutils_natdiscovery (RFC 5780).
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin jq conntrack socat netns/natprobe netns/numbers

KINDS=(open full-cone restricted port-restricted symmetric-address symmetric sequential firewall cgnat udp-blocked)
lab_internet
host S
uplink S eth0
first=${ADDRESS[S/eth0]}
second=${first%.2}.3
ip_in S addr add "$second/24" dev eth0
spawn S serve "$WARP_BUILD/netns/natprobe" serve "$first" "$second" 3478
wait_until 'listens S udp 3479' 5 || lab_die "natprobe serves not"
for kind in "${KINDS[@]}"; do
	host "A-$kind"
	uplink "A-$kind" eth0 "nat=$kind"
done

# --- what natprobe says, alone: a router that counts gives each port once, whoever asks

# kind NAT EXPECTED
kind()
{
	local seen
	seen=$(run_in "A-$1" "$WARP_BUILD/netns/natprobe" ask "$first" "$second" 3478)
	check "$1" "is '$seen', not '$2'" [ "$seen" = "$2" ]
}

kind open 'EIM/EIF none'
kind full-cone 'EIM/EIF preserved'
kind restricted 'EIM/ADF preserved'
kind port-restricted 'EIM/APDF preserved'
kind symmetric-address 'ADM/APDF other'
kind symmetric 'APDM/APDF other'
kind sequential 'APDM/APDF sequential'
kind firewall 'EIM/APDF none'
kind cgnat 'EIM/APDF other'
kind udp-blocked blocked
spawn S tcp socat -u TCP4-LISTEN:4000,reuseaddr OPEN:/dev/null
wait_until 'listens S tcp 4000' 5
check udp_blocked_lets_tcp_pass "no connection" run_in A-udp-blocked \
	socat -u OPEN:/dev/null "TCP4:$first:4000,connect-timeout=2"

# --- what others think of them, all at a time: their silences take seconds, in which routers stay as they are

# verdict KIND: in short, of what turnutils_natdiscovery said.
verdict()
{
	sed -n 's/^NAT with \(.*\)!/\1/p; s/^No NAT.*/none/p' "$LAB/discovery-$1.log" |
		sed 's/Endpoint Independent/EI/; s/Address and Port Dependent/APD/; s/Address Dependent/AD/
			s/ Mapping/M/; s/ Filtering/F/' | paste -sd /
}

if command -v stun stund >/dev/null; then
	spawn S stund stund -h "$first" -a "$second" -p 4478 -o 4479
	wait_until 'listens S udp 4479' 5 || lab_die "stund does not listen"
	for kind in "${KINDS[@]}"; do spawn "A-$kind" "stun-$kind" stun "$first:4478"; done
fi
if command -v turnserver turnutils_natdiscovery >/dev/null; then
	spawn S turnserver turnserver -n -S -L "$first" -L "$second" -p 5478 --alt-listening-port 5479 \
		--no-tls --no-dtls --no-cli -z -l stdout --pidfile "$LAB/turn.pid" --userdb "$LAB/turndb"
	wait_until 'listens S udp 5479' 5 || lab_die "turnserver does not listen"
	for kind in "${KINDS[@]}"; do
		spawn "A-$kind" "discovery-$kind" turnutils_natdiscovery -m -f -p 5478 "$first"
	done
fi

# others KIND STUN DISCOVERY
others()
{
	if [ -n "${LAB_PID[stun-$1]:-}" ]; then
		await "stun-$1" 15
		check "$1/stun" "says $(grep Primary "$LAB/stun-$1.log")" \
			grep -qE "^Primary: $2" "$LAB/stun-$1.log"
	else
		skip "$1/stun" "stun and stund are not installed"
	fi
	if [ -n "${LAB_PID[discovery-$1]:-}" ]; then
		await "discovery-$1" 15
		check "$1/natdiscovery" "says $(verdict "$1")" [ "$(verdict "$1")" = "$3" ]
	else
		skip "$1/natdiscovery" "coturn is not installed"
	fi
}

others open Open EIM/EIF
others full-cone 'Independent Mapping, Independent Filter' EIM/EIF
others restricted 'Independent Mapping, Address Dependent Filter' EIM/ADF
others port-restricted 'Independent Mapping, Port Dependent Filter' EIM/APDF
others symmetric-address 'Dependent Mapping' ADM/APDF
others symmetric 'Dependent Mapping' APDM/APDF
others sequential 'Dependent Mapping' APDM/APDF
others firewall Firewall EIM/APDF
others cgnat 'Independent Mapping, Port Dependent Filter' EIM/APDF
others udp-blocked Blocked ''

# --- what routers do when told to

# mapped ROUTER: the outer address and port with which S sees port 4000 of a host.
mapped()
{
	run_in "$1" conntrack -L -p udp --orig-dst "$first" --orig-port-dst 9000 2>/dev/null |
		sed -n 's/.*dst=\([0-9.]*\) sport=9000 dport=\([0-9]*\).*/\1:\2/p;T;q'
}
# mapping HOST: the same, when it has sent something.
mapping()
{
	local at=
	echo | run_in "$1" socat -u - "UDP4-SENDTO:$first:9000,sourceport=4000" || return
	wait_until "at=\$(mapped ${NAT_OUTER[$1/eth0]}) && [ -n \"\$at\" ]" 1
	echo "$at"
}
# early HOST: S sends to port 4000 outside before the host does.
early() { echo | run_in S socat -u - "UDP4-SENDTO:${PUBLIC[$1/eth0]}:4000,sourceport=9000"; }
# reaches HOST ADDRESS:PORT: what HOST sends there comes to port 4000 of H.
reaches()
{
	receive H "to-H-$1" "udp:${ADDRESS[H/eth0]}:4000" -n 1 -w 5000 -i 100
	send "$1" "udp:$2" -n 1 >/dev/null
	await "to-H-$1" 10 && [ "$(said "to-H-$1" .unique)" = 1 ]
}

for host in H I J K; do host "$host"; done
uplink H eth0 nat=port-restricted,hairpin,short
uplink I eth0 lan=H/eth0
uplink J eth0 nat=port-restricted,accept
uplink K eth0 nat=full-cone carrier=A-cgnat/eth0

seen=$(mapping H)
check port_is_preserved "it is $seen" [ "$seen" = "${PUBLIC[H/eth0]}:4000" ]
lasts=$(run_in router-H-eth0 conntrack -L -p udp 2>/dev/null | awk '$3 > m { m = $3 } END { print m + 0 }')
check short/lasts_5_s "$(run_in router-H-eth0 conntrack -L -p udp 2>&1)" [ "$lasts" -gt 0 -a "$lasts" -le 5 ]
check same_lan/neighbour_is_seen "no answer" run_in I ping -c 1 -W 1 -q "${ADDRESS[H/eth0]}"
check hairpin/neighbour_is_reached_from_outside "nothing came" reaches I "$seen"
check same_carrier/neighbour "it is $(mapping K), not ${PUBLIC[A-cgnat/eth0]}" \
	[ "$(mapping K | cut -d : -f 1)" = "${PUBLIC[A-cgnat/eth0]}" ]

seen=$(mapping A-cgnat)
nat_rebind A-cgnat eth0
check rebind/other_port "it is still $seen" [ "$(mapping A-cgnat)" != "$seen" ]
nat_renumber A-cgnat eth0
check renumber/other_address "it is $(mapping A-cgnat)" \
	[ "$(mapping A-cgnat | cut -d : -f 1)" = "${PUBLIC[A-cgnat/eth0]}" -a "${PUBLIC[A-cgnat/eth0]}" != "${seen%:*}" ]
nat_rebind H eth0
check rebind/port_is_not_preserved "it is still 4000" [ "$(mapping H | cut -d : -f 2)" != 4000 ]
nat_forget A-port-restricted eth0
early A-port-restricted
check early_packet_is_dropped "the port is $(mapping A-port-restricted)" \
	[ "$(mapping A-port-restricted | cut -d : -f 2)" = 4000 ]
early J
check early_packet_is_accepted "the port is 4000 all the same" [ "$(mapping J | cut -d : -f 2)" != 4000 ]

# --- links

# Two hosts at a time must not share a mapping; UDP that comes unasked must not pass.
host B
uplink B eth0
link_loss B eth0 30
receive S loss "udp:$first:9000" -n 2000 -i 3000
send B "udp:$first:9000" -n 2000 -r 10000 >/dev/null
await loss 10
lost=$(said loss .lost)
check loss_is_30_percent "lost $lost of 2000" [ "$lost" -ge 500 -a "$lost" -le 700 ]
check loss_is_counted "counted $(link_dropped B eth0), lost $lost" [ "$(link_dropped B eth0)" = "$lost" ]
check loss_is_counted_for_the_path "counted $(link_dropped B eth0 up "$first"), lost $lost" \
	[ "$(link_dropped B eth0 up "$first")" = "$lost" ]
link_cut B eth0
check cut_link_carries_nothing "ping passes" not run_in B ping -c 3 -i 0.05 -W 0.2 -q "$first"
link_mend B eth0
check mended_link_carries "ping does not pass" run_in B ping -c 1 -W 1 -q "$first"
link_down B eth0
check pulled_cable_is_seen "there is a carrier" \
	wait_until '! has_carrier B eth0' 2
link_up B eth0
check cable_is_back "ping does not pass" wait_until "run_in B ping -c 1 -W 1 -q $first" 3
lab_end
