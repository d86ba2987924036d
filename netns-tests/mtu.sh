#!/usr/bin/env bash
# No MTU black holes: links that carry less than they seem to, and tell nobody (all ICMP is dropped); one that
# shrinks while data flows; payloads of 64 KiB over all of them.
#
#    A eth0 -- 1500 --+
#    A eth1 -- 1492 --+- internet -- eth0 B      every interface itself says 1500
#    A eth2 -- 1400 --+
#    A eth3 -- 1280 --+
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq iperf3 warpd warp netns/numbers
lab_urgent

lab_internet
host A
host B
for i in 0 1 2 3; do uplink A eth$i; done
uplink B eth0

# narrow IFNAME MTU: of a link of A: larger packets vanish, and nobody is told. "cut" for MTU: nothing passes.
# Trains are cut apart before they enter the link, so that each datagram has its own size.
narrow()
{
	local far dev rule="ip length > $2 counter name dropped drop"
	read -r far dev <<<"${FAR[A/$1]}"
	ip_in A link set dev "$1" gso_max_segs 1
	ip_in "$far" link set dev "$dev" gso_max_segs 1
	[ "$2" != cut ] || rule='meta l4proto udp counter name dropped drop'
	rule="ip protocol icmp drop; $rule"
	link_rules A "$1" "$rule" "$rule"
}
MTU=(1500 1492 1400 1280)
for i in 0 1 2 3; do narrow eth$i "${MTU[i]}"; done
LAB_MAP=
# member HOST NUMBER PEER NUMBER
member()
{
	conf_direct "$1" "$3" "allowed_ips: [10.44.0.$4/32]" <<-END
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24] }
		  - name: data
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		  - name: large
		    gate: { path: $LAB/$1.seq, type: seqpacket }
	END
}
member A 1 B 2
member B 2 A 1
start_warpd A B
check connects "not four live paths in 10 s" wait_until 'connected A B 4 && connected B A 4' 10
rows_begin

# --- what each path carries is found out, to 8 bytes

path_mtu() { status A '[.peers[].paths[] | select(.interface == $i) | .mtu] | max' --arg i "$1"; }
found() { local mtu; mtu=$(path_mtu "$1"); [ "$mtu" -le $(($2 - 28)) ] && [ "$mtu" -gt $(($2 - 28 - 9)) ]; }
printf '%-6s %8s %14s\n' link 'MTU' 'datagram found'
for i in 0 1 2 3; do
	check_soon "found/${MTU[i]}" "found eth$i ${MTU[i]}" 6 '$(path_mtu eth$i)'
	printf '%-6s %8s %14s\n' eth$i "${MTU[i]}" "$(path_mtu eth$i)"
done

# --- 64 KiB in a Unix socket, over all links at once and over the narrowest alone

# large NAME: 100 payloads of 64 KiB.
large()
{
	receive B large "seqpacket:$LAB/B.seq" -n 100 -i 1500
	send A "seqpacket:$LAB/A.seq" -n 100 -r 200 -s 65536 >/dev/null
	await large 15 || lab_die "the receiver has not ended"
	check "64k/$1" "$(told large)" all_once large
}
large all
# only IFNAME...: the other links are silent.
only()
{
	local i
	for i in 0 1 2 3; do
		case " $* " in *" eth$i "*) narrow eth$i "${MTU[i]}" ;; *) narrow eth$i cut ;; esac
	done
	spawn A busy ping -i 0.1 -q 10.44.0.2 # so that it shows soon
	wait_until "[ \$(live_paths A B) = $# ] && [ \$(live_paths B A) = $# ]" 8 || lab_die "not $# live paths: $(paths A)"
	stop busy INT
}
only eth3
large 1280_alone

# --- a link shrinks while data flows

only eth0
check_soon wide "found eth0 1500" 6 '$(path_mtu eth0)'
receive B flow udp:127.1.0.1:9001 -n 6000 -i 2500
spawn B iperf iperf3 -s -1 -B 10.44.0.2
wait_until 'listens B tcp 5201' 5
send_along A sender udp:127.1.0.1:9000 -n 6000 -r 1000 -s 1400
spawn A tcp iperf3 -c 10.44.0.2 -t 6 -i 0.1 -b 20M -J
nap 2
narrow eth0 1330
check_soon shrinks/is_found "found eth0 1330" 20 '$(path_mtu eth0)'
await sender 10
await flow 10
gap=$(said flow .longest_gap_ms)
row mtu_shrink_gap_ms "$gap" ms '< 2000'
check shrinks/gap "$gap ms" compare "$gap" '<' 2000
# TCP: the longest time with less than half of the rate, in steps of a tenth of a second. The first half second
# does not count.
await tcp 15
slow=$(jq '[.intervals[5:][].sum.bits_per_second] |
	reduce .[] as $b ({now: 0, most: 0}; .now = (if $b < 10e6 then .now + 100 else 0 end) | .most = ([.most, .now] | max)) | .most' "$LAB/tcp.log")
row mtu_shrink_tcp_gap_ms "${slow:-9999}" ms '< 2000'
rates=$(jq -c '[.intervals[].sum.bits_per_second / 1e6 | round]' "$LAB/tcp.log")
check shrinks/tcp_is_back "${slow:-?} ms at less than half of the rate, UDP $gap ms; Mbit/s: $rates" \
	[ "${slow:-9999}" -lt 2000 ]
large shrunk
dropped=$(link_dropped A eth0)
check shrinks/was_a_black_hole "$dropped datagrams" [ "$dropped" -gt 100 ]
lab_end
