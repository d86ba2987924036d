#!/usr/bin/env bash
# What `warp events` tells: how things are at first, then what changes: paths that go and come, links that carry no
# more, tunnels that are given too much, other modes; and that listeners come and go as they like.
#
#    A eth0 -- wire: 5 ms, 20 Mbit/s -- eth0 B
#    A eth1 -- wire: 5 ms, 2 Mbit/s  -- eth1 B
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq warpd warp netns/numbers netns/wire

host A
host B
wire_link A eth0 B eth0 'delay 5ms rate 20mbit queue 200ms'
WIRE_OPTIONS='-p -s 2' wire_link A eth1 B eth1 'delay 5ms rate 2mbit queue 500ms'

# member HOST PEER [TRANSPORT]
member()
{
	conf_direct "$1" "$2" <<-END
		  - name: data
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		${3:-}
	END
}
member A B
member B A
start_warpd A
spawn A listener "$WARP_BUILD/warp" -s "$LAB/A.sock" events

# told FILTER [NAME]: an event is such; last FILTER: the last that is of its kind.
told_event() { jq -e "select($1)" "$LAB/${2:-listener}.log" | grep -q .; }
count() { jq -c "select($1)" "$LAB/${2:-listener}.log" | wc -l; }
# soon NAME FILTER [SECONDS [LISTENER]]
soon()
{
	if wait_until "told_event '$2' ${4:-listener}" "${3:-3}"; then
		ok "$1"
	else
		fail "$1" "not told: $(tail -n 5 "$LAB/${4:-listener}.log")"
	fi
}
# Whatever was told so far does not count.
forget() { stop listener; : >"$LAB/listener.log"; spawn A listener "$WARP_BUILD/warp" -s "$LAB/A.sock" events; soon "$1" '.event == "now"'; }

soon begins '.event == "begin" and .version != null and .time >= 0'
soon tells_the_mode '.event == "mode" and .tunnel == "data" and .mode == "replicate"'
start_warpd B
soon peer_connects '.event == "peer" and .peer == "B" and .state == "connected"' 5
for dev in eth0 eth1; do
	soon "path_of_${dev}_comes" ".event == \"path\" and .interface == \"$dev\" and .up and .peer == \"B\" and .remote != null" 5
done

# --- paths

receive B quiet udp:127.1.0.1:9001 -n 20000 -i 20000
send_along A quiet-sender udp:127.1.0.1:9000 -n 20000 -r 100 -s 100
forget listens_anew
soon knows_how_things_are '.event == "path" and .interface == "eth1" and .state == "live"'
gone='.event == "path" and .up == false'
before=$(count "$gone")
wire_set A eth1 both down
soon path_goes '.event == "path" and .interface == "eth1" and .up == false' 20
check path_goes/others_do_not "$(jq -c 'select(.event == "path")' "$LAB/listener.log")" \
	not told_event '.event == "path" and .interface == "eth0" and .up == false'
wire_set A eth1 both up
check_soon path_comes 'jq -c "select(.event == \"path\" and .interface == \"eth1\")" "$LAB/listener.log" | tail -n 1 | grep -q "\"up\":true"' 5 \
	'$(tail -n 3 "$LAB/listener.log")'
check little_is_told "$(count "$gone") lines" [ $(($(count "$gone") - before)) -lt 10 ]
ip_in A link set dev eth1 down
soon link_goes '.event == "path" and .interface == "eth1" and .state == "gone" and .up == false'
ip_in A link set dev eth1 up
wire_neighbour A eth1 "${ADDRESS[B/eth1]}" 2 2
check_soon link_comes 'connected A B 2' 8 '$(paths A)'

# --- congestion: 4 Mbit/s fit one link, 40 none

stop quiet-sender
stop quiet
forget listens_again
receive B flood udp:127.1.0.1:9001 -n 4000 -i 1000
send_along A flood-sender udp:127.1.0.1:9000 -n 4000 -r 500 -s 1000
soon slow_path_is_congested '.event == "path_congestion" and .interface == "eth1" and .congested and .tx_rate_bps > 0' 6
check status_says_so "$(status A '.peers[].paths[] | {interface, congested, tx_limit_bps}' -c)" \
	status_is A '[.peers[].paths[] | select(.interface == "eth1" and .congested)] | length == 1'
check the_tunnel_is_not "$(jq -c 'select(.congested)' "$LAB/listener.log")" \
	not told_event '.event == "tunnel_congestion" and .congested'
await flood-sender 15
await flood 5
check_soon slow_path_is_free_again 'jq -c "select(.event == \"path_congestion\" and .interface == \"eth1\")" "$LAB/listener.log" | tail -n 1 | grep -q "\"congested\":false"' 40 \
	'$(tail -n 3 "$LAB/listener.log")'
send_along A flood-sender udp:127.1.0.1:9000 -n 30000 -r 5000 -s 1000
soon tunnel_is_congested '.event == "tunnel_congestion" and .tunnel == "data" and .congested' 6
check tunnel_status_says_so "$(status A .tunnels -c)" status_is A '.tunnels[0].congested'
await flood-sender 15
check_soon tunnel_is_free_again 'jq -c "select(.event == \"tunnel_congestion\")" "$LAB/listener.log" | tail -n 1 | grep -q "\"congested\":false"' 10 \
	'$(tail -n 3 "$LAB/listener.log")'

# --- modes

member A B '    transport: { redundancy: { mode: shards } }'
warp -s "$LAB/A.sock" reload || lab_die reload
soon mode_changes '.event == "mode" and .mode == "shards" and .shards == 5'

member A B '    transport: { redundancy: { mode: stripe } }'
warp -s "$LAB/A.sock" reload || lab_die reload
soon mode_is_stripe '.event == "mode" and .mode == "stripe"'
forget listens_to_stripes
send_along A flood-sender udp:127.1.0.1:9000 -n 30000 -r 5000 -s 1000
soon striped_tunnel_is_congested '.event == "tunnel_congestion" and .congested' 6
await flood-sender 15
check_soon striped_tunnel_is_free_again 'jq -c "select(.event == \"tunnel_congestion\")" "$LAB/listener.log" | tail -n 1 | grep -q "\"congested\":false"' 10 \
	'$(tail -n 3 "$LAB/listener.log")'

# --- listeners

for n in 1 2 3 4 5 6 7; do spawn A "more$n" "$WARP_BUILD/warp" -s "$LAB/A.sock" events; done
check_soon eight_may_listen 'status_is A ".listeners == 8"' 3 '$(status A .listeners)'
check the_ninth_is_told_so "$(run_in A timeout 5 "$WARP_BUILD/warp" -s "$LAB/A.sock" events 2>&1 | tail -n 1)" \
	eval 'run_in A timeout 5 "$WARP_BUILD/warp" -s "$LAB/A.sock" events 2>&1 | grep -q "too many listeners"'
stop B
soon all_hear_of_it '.event == "peer" and .state == "closed"' 3
soon all_hear_of_it/too '.event == "peer" and .state == "closed"' 3 more7
for n in 1 2 3 4 5 6 7; do stop "more$n"; done
check_soon who_has_gone_is_forgotten 'status_is A ".listeners == 1"' 3 '$(status A .listeners)'
check nobody_was_sent_away "$(status A .listeners_lost)" status_is A '.listeners_lost == 0'
stop A
check listener_ends_with_the_daemon "it listens on" wait_until '! running listener' 3
await listener 1
check and_says_so "$(tail -n 1 "$LAB/listener.log")" grep -q 'warpd has ended' "$LAB/listener.log"
lab_end
