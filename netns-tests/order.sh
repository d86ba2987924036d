#!/usr/bin/env bash
# Ordered tunnels: what a fast link loses comes later over a slow one, and applications do not notice.
#
#    A eth0 -- loses 30 % --+            +-- eth0 B
#                           +- internet -+
#    A eth1 -- 3 Mbit/s ----+            +-- eth1 B      what it carries stands in a queue
#
# The same flow goes through a tunnel without `ordered`, which shows that the links do disorder it.
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq tc warpd warp-map warp netns/numbers

COUNT=3000
RATE=1000
lab_internet
two_hosts
start_map
conf_pair \
	'  - name: ordered' \
	'    gate: { application_to_gate: "127.1.0.1:9100", gate_to_application: "127.1.0.1:9101" }' \
	'    transport: { ordered: true }' \
	'  - name: seq' \
	"    gate: { path: $LAB/%H.seq, type: seqpacket }" \
	'    transport: { ordered: true }' \
	'  - name: dgram' \
	"    gate: { path: $LAB/%H.dgram, type: dgram }" \
	'    transport: { ordered: true, reorder_wait: 300ms }'
start_warpd A B
check connects "no path in 5 s" wait_until 'connected A B 4 && connected B A 4' 5
link_loss A eth0 30
run_in A tc qdisc add dev eth1 root tbf rate 3mbit burst 3kb limit 25kb || lab_die tc

# flow NAME SEND-TARGET RECEIVE-TARGET: from A to B.
flow()
{
	receive B "$1" "$3" -n $COUNT -i 2000
	send A "$2" -n $COUNT -r $RATE -s 200 >"$LAB/$1.sent"
	await "$1" 20
}

# in_order NAME TUNNEL: nothing twice, nothing out of order, little lost, and it was not for nothing.
in_order()
{
	local put_right
	put_right=$(status B '.tunnels[] | select(.name == $t) | .reordered' --arg t "$2")
	check "$1_in_order" "$(said "$1" .reordered) out of order" [ "$(said "$1" .reordered)" = 0 ]
	check "$1_at_most_once" "$(told "$1")" [ "$(said "$1" '.duplicated + .corrupt')" = 0 ]
	check "$1_puts_right" "nothing was" [ "${put_right:-0}" -gt 0 ]
	# 9 % over the fast link (two paths), a third of that over the slow one.
	check "$1_waits_for_the_slow_link" "$(told "$1")" [ "$(said "$1" .lost)" -le $((COUNT / 15)) ]
	record order "$1_lost" "$(said "$1" .lost)" payloads ""
	record order "$1_delay_max" "$(said "$1" .delay_us.max)" us ""
}

flow unordered udp:127.1.0.1:9000 udp:127.1.0.1:9001
check the_links_disorder "nothing was out of order" [ "$(said unordered .reordered)" -gt 0 ]
flow udp udp:127.1.0.1:9100 udp:127.1.0.1:9101
in_order udp ordered
flow seqpacket "seqpacket:$LAB/A.seq" "seqpacket:$LAB/B.seq"
in_order seqpacket seq
flow dgram "dgram:$LAB/A.dgram" "dgram:$LAB/B.dgram"
in_order dgram dgram
none_waits() { status_is B '[.tunnels[].waiting] | add == 0'; }
check nothing_waits_at_the_end "something does" none_waits
lab_end
