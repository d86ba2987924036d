#!/usr/bin/env bash
# A symmetric NAT shows each peer another port than the map: PeerAddressOverride makes up for it.
#
#    A eth0 -- router (symmetric) --+-- internet --+-- router (full-cone) ----------- eth0 Cone
#                                   |              +-- router (address-restricted) -- eth0 Restricted
#                                  map             +-- eth0 Open
#
# What is on the wire meanwhile is recorded, and afterwards replayed from elsewhere: nothing may change.
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping warpd warp-map warp netns/garbage

PEERS=(Cone Restricted Open)
lab_internet
host A
uplink A eth0 nat=symmetric
for peer in "${PEERS[@]}"; do host "$peer"; done
uplink Cone eth0 nat=full-cone
uplink Restricted eth0 nat=address-restricted
uplink Open eth0 nat=none
start_map
spawn internet capture "$WARP_BUILD/netns/garbage" capture "$LAB/wire" 3000

number=1
entries=
for peer in "${PEERS[@]}"; do
	number=$((number + 1))
	entries+=$(far_gate "$peer" "allowed_ips: [10.44.0.$number/32]")$'\n'
	conf "$peer" <<-END
		far_gate:
		$(far_gate A 'allowed_ips: [10.44.0.1/32]')
		tunnels: [{ name: net, gate: { tun: warp0, address: [10.44.0.$number/24] } }]
	END
done
conf A <<END
far_gate:
$entries
tunnels: [{ name: net, gate: { tun: warp0, address: [10.44.0.1/24] } }]
END

# meet: A is started with the others there; all must be connected in both directions within 2 s.
# Prints how long each took in ms.
meet()
{
	local peer begun name=$1
	begun=$(now_us)
	launch_warpd A
	for peer in "${PEERS[@]}"; do
		if wait_until "connected A $peer && connected $peer A" 5; then
			took=$((($(now_us) - begun) / 1000))
			check "$name/$peer" "took $took ms" [ "$took" -le 2000 ]
			record nat-override "$name-$peer" "$took" ms "<= 2000"
		else
			fail "$name/$peer" "not connected in 5 s"
		fi
	done
}

start_warpd "${PEERS[@]}"
meet direct_in_2_s

number=1
for peer in "${PEERS[@]}"; do
	number=$((number + 1))
	check "payloads_pass/$peer" "no answer" run_in A ping -c 3 -i 0.1 -W 1 -q 10.44.0.$number
	# On the interface: what the map sees of A, and what this peer uses instead.
	check "override_is_shown/$peer" "$(status "$peer" '.peers[0] | {registered, overrides}' -c)" \
		wait_until "status_is $peer '.peers[] | select(.name == \"A\") | . as \$p | .overrides[0] as \$o
			| \$o.interface == \"eth0\" and \$o.registered != \$o.override
			and any(\$p.registered[]; .observed == \$o.registered)
			and any(\$p.paths[]; .state == \"live\" and .remote == \$o.override)'" 6
done

# --- replay: from elsewhere, then as if from the true source

stop capture
states() { for host in Cone Restricted Open A; do state_of $host; done; }
before=
as_before() { [ "$(states)" = "$before" ]; }
# What the map tells of candidates may take a while to settle.
wait_until 'before=$(states) && for_seconds 2 as_before' 30
for kind in e p; do
	run_in internet "$WARP_BUILD/netns/garbage" send "$LAB/wire" 5000 5000 $kind
	# What was replayed has been read once a ping behind it has passed.
	check "replay_$kind/traffic_goes_on" "no answer" \
		wait_until 'run_in A ping -c 1 -W 1 -q 10.44.0.2 && run_in A ping -c 1 -W 1 -q 10.44.0.4' 3
	# A path that is overdue because a daemon had to wait is live again at once.
	if wait_until as_before 3; then
		ok "replay_$kind/changes_nothing"
	else
		fail "replay_$kind/changes_nothing" "see the difference"
		diff <(echo "$before") <(states) | sed 's/^/    /' | cut -c 1-400
	fi
done

# --- the other order: those behind cones come later

for peer in "${PEERS[@]}"; do stop "$peer"; done
stop A
start_warpd A
begun=$(now_us)
for peer in "${PEERS[@]}"; do launch_warpd "$peer"; done
for peer in "${PEERS[@]}"; do
	check "symmetric_side_first/$peer" "not connected in 2 s" \
		wait_until "connected A $peer && connected $peer A" 2
done
lab_end
