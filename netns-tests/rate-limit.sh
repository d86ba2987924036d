#!/usr/bin/env bash
# A link with a `rate_limit` carries what it may and no more, with a short queue: whatever is offered, what passes
# is not old, and who sends little is not kept waiting. A reload changes it.
#
#    A eth0 -- wire: 5 ms, 100 Mbit/s -- eth0 B       only A's configuration has limits
# timeout: 90
# alone: measures milliseconds
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq ping iperf3 warpd warp netns/numbers netns/wire

ETHERNET=14 # bytes of each frame that the wire counts and a limit does not
host A
host B
wire_link A eth0 B eth0 'delay 5ms rate 100mbit queue 200ms'

# member HOST NUMBER PEER NUMBER [POLICY]
member()
{
	INTERFACES="${5:-}" conf_direct "$1" "$3" "allowed_ips: [10.44.0.$4/32]" <<-END
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24] }
		  - name: data
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
	END
}
# limit RATE: from now on
limit()
{
	member A 1 B 2 "  policy: [{ match: eth0, rate_limit: $1 }]"
	[ ! -S "$LAB/A.sock" ] || warp -s "$LAB/A.sock" reload >/dev/null || lab_die "reload"
}
limit 5mbit
member B 2 A 1
start_warpd A B
check connects "no path in 5 s" wait_until 'connected A B && connected B A' 5
wait_until 'status_is A "[.peers[].paths[].mtu] | min >= 1400"' 10 || lab_die "the size is not found"

# left: bytes of IP that A has sent over the wire so far, and when (us)
left() { wire_stats A eth0 "(.\"a-to-b\" | .bytes - $ETHERNET * .packets)"; }
# rate_while SECONDS: kbit/s that leave A
rate_while()
{
	local bytes begun
	bytes=$(left) begun=$(now_us)
	nap "$1"
	echo $((($(left) - bytes) * 8000 / ($(now_us) - begun)))
}
# flood NAME MBIT SECONDS: 1000-byte payloads through the UDP gate, in the background
flood()
{
	local rate=$(($2 * 125)) count=$(($2 * 125 * $3))
	receive B "$1" udp:127.1.0.1:9001 -n $count -i 800
	send_along A "$1-sender" udp:127.1.0.1:9000 -n $count -r $rate -s 1000
}
flood_ends()
{
	stop "$1-sender"
	await "$1" 5 || lab_die "the receiver of $1 has not ended"
}
ms() { said "$1" ".delay_us.$2 / 1000"; }

# --- a flood at the UDP gate, ping beside it

# floods MBIT OFFERED
floods()
{
	local name=flood_$1 rate rtt
	limit "$1mbit"
	flood "$name" "$2" 10
	nap 0.5
	rate=$(rate_while 3)
	run_in A ping -n -i 0.05 -c 20 -W 1 10.44.0.2 >"$LAB/$name.ping"
	flood_ends "$name"
	rtt=$(sed -n 's/.* time=\([0-9.]*\) ms.*/\1/p' "$LAB/$name.ping" | sort -g |
		awk '{ t[NR] = $1 } END { print t[int(NR / 2) + 1] + 0, NR }')
	record rate-limit "rate_${1}mbit" "$rate" kbit/s "${1}000"
	record rate-limit "delay_p50_${1}mbit" "$(ms "$name" p50)" ms '< 100'
	record rate-limit "delay_p99_${1}mbit" "$(ms "$name" p99)" ms '< 100'
	record rate-limit "ping_p50_${1}mbit" "${rtt% *}" ms '< 60'
	check "$name/holds" "$rate kbit/s" compare "$rate" '<=' $(($1 * 1030))
	check "$name/is_used" "$rate kbit/s" compare "$rate" '>=' $(($1 * 800))
	check "$name/queue_is_short" "p50 $(ms "$name" p50), p99 $(ms "$name" p99) ms" \
		compare "$(ms "$name" p50)" '<' 120
	check "$name/others_pass" "${rtt#* } of 20 pings" [ "${rtt#* }" -ge 18 ]
	check "$name/others_pass_soon" "${rtt% *} ms" compare "${rtt% *}" '<' 100
}
floods 1 20
floods 5 20
floods 20 40

# --- TCP uses what there is

limit 5mbit
spawn B iperf iperf3 -s -B 10.44.0.2
wait_until 'listens B tcp 5201' 5
run_in A timeout 15 iperf3 -c 10.44.0.2 -t 6 -O 1 -J >"$LAB/iperf.json"
kbps=$(jq '(.end.sum_received.bits_per_second // 0) / 1000 | round' "$LAB/iperf.json")
rtt=$(jq '(.end.streams[0].sender.mean_rtt // 1e9) / 1000' "$LAB/iperf.json")
record rate-limit tcp_5mbit "$kbps" kbit/s '> 4500'
record rate-limit tcp_5mbit_rtt "$rtt" ms '< 60'
check tcp/is_used "$kbps kbit/s" compare "$kbps" '>' 4000
check tcp/queue_is_short "mean RTT $rtt ms" compare "$rtt" '<' 120

# --- none again

member A 1 B 2
warp -s "$LAB/A.sock" reload >/dev/null || lab_die "reload"
flood none 20 4
nap 0.5
rate=$(rate_while 2)
flood_ends none
check no_limit/carries_all "$rate kbit/s of 20000 and headers" compare "$rate" '>' 19000
lab_end
