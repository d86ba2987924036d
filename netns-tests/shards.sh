#!/usr/bin/env bash
# Tunnels that send shards: of two links that lose 5 % each next to nothing is lost, at 1.67 datagrams a
# payload; and gaps of 200 ms on one of them cost nothing where blocks are longer than that.
#
#    A eth0 -- wire: 20 ms, loses 5 % -- eth0 B
#    A eth1 -- wire: 20 ms, loses 5 % -- eth1 B
#
# B's tunnels are not configured to send any: it takes what comes. Meanwhile warpd asks nobody for memory.
# Delays are of the machine as well, and a sender that is late closes blocks early: what is too late or too much is
# tried again, three times in all.
# alone: it measures delays
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq od iperf3 netns/wire netns/numbers netns/alloc.so warpd warp
lab_urgent

COUNT=20000
RATE=2500
MAX_DELAY=20 # ms
host A
host B
wire_link A eth0 B eth0 'delay 20ms'
WIRE_OPTIONS='-p -s 2' wire_link A eth1 B eth1 'delay 20ms' # not the losses of the other

# member HOST NUMBER PEER NUMBER MODE-OF-NET-AND-QUICK MODE-OF-LONG: routers are not asked for ports, for that takes
# memory each time.
member()
{
	INTERFACES='  port_mapping: false' conf_direct "$1" "$3" "allowed_ips: [10.44.0.$4/32]" <<-END
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24] }
		    transport: { ordered: true, redundancy: { $5 } }
		  - name: quick
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		    transport: { redundancy: { $5 } }
		  - name: long
		    gate: { application_to_gate: "127.1.0.1:9010", gate_to_application: "127.1.0.1:9011" }
		    transport: { redundancy: { $6 } }
	END
}
SHARDS='mode: shards, num_shards: 5, required_shards: 3, max_delay'
member A 1 B 2 "$SHARDS: ${MAX_DELAY}ms" "$SHARDS: 500ms"
member B 2 A 1 'mode: replicate' 'mode: replicate'
case $WARP_BUILD in
*asan*) counted=() ;; # sanitizers have an allocator of their own
*) counted=(env LD_PRELOAD="$WARP_BUILD/netns/alloc.so") ;;
esac
for h in A B; do
	spawn $h $h "${counted[@]}" ${counted:+ALLOC_FILE="$LAB/$h.counts"} "$WARP_BUILD/warpd" -c "$LAB/$h.yaml"
done
check connects "no two paths in 10 s" wait_until 'connected A B 2 && connected B A 2 &&
	status_is A "[.peers[].paths[] | select(.state == \"live\") | .mtu] | min >= 1400"' 10

# flow NAME PORT COUNT RATE: from A to B.
flow()
{
	receive B "$1" "udp:127.1.0.1:$(($2 + 1))" -n "$3" -i 1500
	send A "udp:127.1.0.1:$2" -n "$3" -r "$4" -s 1200 >"$LAB/$1.sent"
	await "$1" 15 || lab_die "the receiver of $1 has not ended"
}
ms() { said "$1" ".delay_us.$2 / 1000"; }
shards() { status "$1" '.tunnels[] | select(.name == $t) | .shards | '"$3" --arg t "$2"; }
calls() { [ -z "${counted[*]}" ] || for h in A B; do od -v -An -t u8 -N 16 "$LAB/$h.counts"; done | xargs; }
losses() { for i in 0 1; do wire_set A eth$i "both $1"; done; }
rows_begin

# --- 5 % of everything ---
lossy()
{
	losses 'loss 0%'
	flow whole 9000 1000 $RATE
	losses 'loss 5%'
	flow warm 9000 500 $RATE # also the other end has what it needs now
	data=$(shards A quick .data)
	parity=$(shards A quick .parity)
	before=$(calls)
	flow quick 9000 $COUNT $RATE
	after=$(calls)
	overhead=$(shards A quick "1 + (.parity - $parity) / (.data - $data)")
	added=$(awk -v a="$(ms quick p99)" -v b="$(ms whole p50)" 'BEGIN { print a - b }')
}
for _ in 1 2 3; do
	lossy
	! compare "$added" '<' $MAX_DELAY || ! compare "$overhead" '<' 1.72 || break
done
check no_loss_is_no_loss "$(told whole)" [ "$(said whole .lost)" = 0 ]
residual=$(said quick ".lost / $COUNT")
row shards_residual_loss "$residual" share '< 0.002'
row shards_overhead "$overhead" datagrams/payload '<= 1.7'
row shards_added_p99_ms "$added" ms "< $MAX_DELAY"
record shards quick_delay_max "$(ms quick max)" ms ''
check residual_loss "$(told quick)" compare "$residual" '<' 0.002
check at_most_once "$(told quick)" [ "$(said quick '.duplicated + .corrupt')" = 0 ]
check overhead "$overhead" compare "$overhead" '<' 1.72
check added_p99 "$added ms" compare "$added" '<' $MAX_DELAY
check rebuilt "next to nothing" [ "$(shards B quick .rebuilt)" -gt $((COUNT / 40)) ]
check no_allocation "calls of A and B, heap and mmap: $before, then $after" [ "$before" = "$after" ]
people=$(warp -s "$LAB/A.sock" status)
check status "$people" grep -q 'shards on a path each, 3 of 5 rebuild, within 20' <<<"$people"

# --- packets of warp0, which come from the kernel many at a time ---
spawn B iperf iperf3 -s -1 -B 10.44.0.2
wait_until 'listens B tcp 5201' 5
run_in A iperf3 -c 10.44.0.2 -t 2 -J >"$LAB/tcp.json"
check tcp "$(jq -r .error "$LAB/tcp.json")" [ "$(jq '.end.sum_received.bytes' "$LAB/tcp.json")" -gt 600000 ]
check tcp_is_rebuilt "nothing" [ "$(shards B net .rebuilt)" -gt 50 ]
record shards tcp_5_percent_loss_mbps "$(jq '.end.sum_received.bits_per_second / 1e6' "$LAB/tcp.json")" Mbit/s ''

# --- gaps on one link ---
losses 'loss 0%'
# gap IFNAME: 200 ms, and some more for telling the wire.
gap()
{
	nap 0.8
	wire_set A "$1" both down
	nap 0.2
	wire_set A "$1" both up
}
dropped() { for i in 0 1; do wire_stats A eth$i '."a-to-b".dropped.down'; done | jq -s add; }
gaps()
{
	dropped=$(dropped)
	receive B long udp:127.1.0.1:9011 -n 5000 -i 1500
	send_along A gaps udp:127.1.0.1:9010 -n 5000 -r 1000 -s 1200
	for dev in eth0 eth1 eth0 eth1; do gap $dev; done
	await gaps 15
	await long 15 || lab_die "the receiver of long has not ended"
	dropped=$(($(dropped) - dropped))
}
# A gap is as long as this script is let wait, which may be more than blocks stand.
for _ in 1 2 3; do
	gaps
	! all_once long || break
done
check gaps_lose_datagrams "$dropped" [ "$dropped" -gt 400 ]
check gaps_lose_no_payload "$(told long)" all_once long
record shards gaps_lost "$(said long .lost)" payloads 0
record shards gaps_delay_max "$(ms long max)" ms ''
lab_end
