#!/usr/bin/env bash
# Applications at every kind of gate: warp0, loopback UDP (IPv4, IPv6), Unix sockets; WireGuard over warp.
#
#    A eth0 --+            +-- eth0 B         applications of A and of B talk to their own warpd only
#             +- internet -+
#    A eth1 --+     |      +-- eth1 B
#                  map
# alone: it keeps both processors busy
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping iperf3 curl python3 wg wireguard-go tc warpd warp-map warp netns/numbers

lab_internet
two_hosts
start_map
conf_pair \
	'  - name: back' \
	'    gate: { application_to_gate: "127.1.0.1:9100" }' \
	'  - name: six' \
	'    gate: { application_to_gate: "[::1]:9200", gate_to_application: "[::1]:9201" }' \
	'  - name: wg-told' \
	'    gate: { application_to_gate: "127.1.0.1:9300", gate_to_application: "127.0.0.1:51820" }' \
	'  - name: wg-untold' \
	'    gate: { application_to_gate: "127.1.0.1:9400" }' \
	'  - name: seq' \
	"    gate: { path: $LAB/%H.seq, type: seqpacket }" \
	'  - name: dgram' \
	"    gate: { path: $LAB/%H.dgram, type: dgram }"
start_warpd A B
check connects "no path in 5 s" wait_until 'connected A B 4 && connected B A 4' 5

# --- warp0

check ping_v4 "no answer" run_in A ping -c 3 -i 0.1 -W 1 -q 10.44.0.2
check ping_v6 "no answer" run_in A ping -c 3 -i 0.1 -W 1 -q fd44::2
check ping_large "no answer to 8000 bytes" run_in A ping -c 2 -i 0.1 -W 1 -q -s 8000 10.44.0.2

spawn B iperf iperf3 -s -B 10.44.0.2
wait_until 'listens B tcp 5201' 5
run_in A timeout 10 iperf3 -c 10.44.0.2 -t 2 -J >"$LAB/iperf.json"
mbps=$(jq '(.end.sum_received.bits_per_second // 0) / 1e6 | round' "$LAB/iperf.json")
check iperf3_tcp "$mbps Mbit/s" [ "${mbps:-0}" -ge 20 ]
record gates iperf3_tcp_2x2_replicated "${mbps:-0}" Mbit/s ""
# A receiver that the machine stops for a moment loses what its socket cannot hold: once, not three times.
for _ in 1 2 3; do
	run_in A timeout 10 iperf3 -c 10.44.0.2 -t 1 -u -b 20M -R -J >"$LAB/iperf-udp.json"
	lost=$(jq '.end.sum.lost_percent // 100' "$LAB/iperf-udp.json")
	! compare "${lost:-100}" '<' 0.1 || break
done
check iperf3_udp "lost $lost %" compare "${lost:-100}" '<' 0.1

head -c 3000000 /dev/urandom >"$LAB/file"
spawn B http python3 -m http.server --bind fd44::2 --directory "$LAB" 8080
wait_until 'listens B tcp 8080' 5
run_in A curl -s -g -m 10 -o "$LAB/copy" 'http://[fd44::2]:8080/file'
check curl "what came is not what was sent" cmp "$LAB/file" "$LAB/copy"

# --- numbered datagrams through the other gates

# passes NAME FROM SEND-TARGET TO RECEIVE-TARGET [SIZE RATE COUNT [RECEIVER-OPTION]]
passes()
{
	receive "$4" "$1" "$5" -n "${8:-2000}" -i 1500 "${@:9}"
	send "$2" "$3" -n "${8:-2000}" -r "${7:-2000}" -s "${6:-200}" >"$LAB/$1.sent"
	await "$1" 15
	if all_once "$1"; then ok "$1"; else fail "$1" "$(told "$1")"; fi
}

passes udp_a_to_b A udp:127.1.0.1:9000 B udp:127.1.0.1:9001
passes udp_b_to_a B udp:127.1.0.1:9000 A udp:127.1.0.1:9001
passes udp_of_9000_bytes A udp:127.1.0.1:9000 B udp:127.1.0.1:9001 9000 200 200
passes udp_to_the_last_local_sender A udp:127.1.0.1:9100 B udp:127.1.0.1:9100 200 2000 2000 -l
passes udp_over_ipv6_loopback A 'udp:[::1]:9200' B 'udp:[::1]:9201'
passes seqpacket_a_to_b A "seqpacket:$LAB/A.seq" B "seqpacket:$LAB/B.seq"
passes seqpacket_b_to_a B "seqpacket:$LAB/B.seq" A "seqpacket:$LAB/A.seq"
passes seqpacket_of_60000_bytes A "seqpacket:$LAB/A.seq" B "seqpacket:$LAB/B.seq" 60000 100 100
passes dgram_a_to_b A "dgram:$LAB/A.dgram" B "dgram:$LAB/B.dgram"
passes dgram_b_to_a B "dgram:$LAB/B.dgram" A "dgram:$LAB/A.dgram"
check unix_sockets_are_private "$(stat -c %a "$LAB/A.seq")" [ "$(stat -c %a "$LAB/A.seq")" = 600 ]

# --- back-pressure: 2000 payloads of 1000 bytes, twice over each of A's links of 20 Mbit/s: 1.6 s

for dev in eth0 eth1; do
	run_in A tc qdisc add dev "$dev" root tbf rate 20mbit burst 20kb limit 4mb || lab_die tc
done
passes unix_gate_loses_nothing_on_slow_links A "seqpacket:$LAB/A.seq" B "seqpacket:$LAB/B.seq" 1000 0 2000
took=$(jq .took_ms "$LAB/unix_gate_loses_nothing_on_slow_links.sent")
check unix_gate_blocks_at_the_pace_of_the_links "took $took ms" compare "$took" '>' 900
for dev in eth0 eth1; do run_in A tc qdisc del dev "$dev" root; done

# --- WireGuard over warp: its packets go to the gate as if the gate were the other end

# wireguard NAME GATE PORT NET: a tunnel of its own on both hosts, NET.1 and NET.2.
wireguard()
{
	local host other dev number=1
	for host in A B; do
		(umask 077 && wg genkey >"$LAB/wg-$host")
	done
	for host in A B; do
		dev=wg$host$LAB_ID
		other=$([ $host = A ] && echo B || echo A)
		spawn "$host" "$dev" wireguard-go -f "$dev"
		wait_until "run_in $host wg show $dev" 5 || lab_die "wireguard-go"
		run_in "$host" wg set "$dev" listen-port "$3" private-key "$LAB/wg-$host" \
			peer "$(wg pubkey <"$LAB/wg-$other")" endpoint "$2" allowed-ips 0.0.0.0/0 \
			persistent-keepalive 1
		ip_in "$host" addr add "$4.$number/24" dev "$dev"
		ip_in "$host" link set dev "$dev" mtu 1280 up
		number=2
	done
	check "$1" "no answer through WireGuard" wait_until "run_in A ping -c 1 -W 1 -q $4.2" 8
	check "$1_back" "no answer through WireGuard" run_in B ping -c 3 -i 0.05 -W 1 -q "$4.1"
	stop "wgA$LAB_ID"
	stop "wgB$LAB_ID"
}

wireguard wireguard_with_gate_to_application 127.1.0.1:9300 51820 10.55.0
wireguard wireguard_without_gate_to_application 127.1.0.1:9400 51821 10.56.0
lab_end
