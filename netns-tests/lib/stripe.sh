# shellcheck shell=bash
# Two hosts with two wires and tunnels that stripe, for lib/lab.sh and lib/wire.sh.
#
#   stripe_begin                          starts all; warp0 is 10.44.0.1 at A and 10.44.0.2 at B, warp1, with the MTU
#                                         that one datagram carries, 10.45.0.1 and 10.45.0.2
#   stripe_links TEXT0 TEXT1              what the wires are like from now on
#   stripe_raw SECONDS                    Mbit/s of TCP beside warp, both links at once: "ETH0 ETH1"
#   stripe_tcp SECONDS [ADDRESS [OPTIONS]]  Mbit/s of TCP through warp0, after a second that does not count
#   stripe_mptcp_begin                    1: the kernel has no MPTCP
#   stripe_mptcp SECONDS                  the same as stripe_tcp, of MPTCP beside warp, a subflow over each wire
#   stripe_row METRIC VALUE UNIT GOAL     into the results of redundancy, where others look for them
# shellcheck disable=SC2034

stripe_row() { LAB_NAME=redundancy record stripe "$@"; }
# stripe_forget: rows of earlier runs.
stripe_forget()
{
	[ ! -f "$LAB_RESULTS/redundancy.jsonl" ] ||
		sed -i '/"test": "stripe"/d' "$LAB_RESULTS/redundancy.jsonl"
}

# stripe_host HOST NUMBER PEER NUMBER
stripe_host()
{
	conf_direct "$1" "$3" "allowed_ips: [10.44.0.$4/32, 10.45.0.$4/32]" <<-END
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24], mtu: ${STRIPE_MTU:-auto} }
		    transport: { redundancy: { mode: stripe } }
		  - name: plain
		    gate: { tun: warp1, address: [10.45.0.$2/24] }
		    transport: { redundancy: { mode: stripe } }
		  - name: udp
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		    transport: { redundancy: { mode: stripe } }
	END
}

stripe_begin()
{
	local h
	host A
	host B
	wire_link A eth0 B eth0 'delay 10ms'
	WIRE_OPTIONS="$WIRE_OPTIONS -s 2" wire_link A eth1 B eth1 'delay 10ms' # not the losses of the other
	stripe_host A 1 B 2
	stripe_host B 2 A 1
	for h in A B; do spawn $h $h "$WARP_BUILD/warpd" -c "$LAB/$h.yaml"; done
	check connects "no two paths in 10 s" wait_until 'connected A B 2 && connected B A 2 &&
		status_is A "[.peers[].paths[] | select(.state == \"live\") | .mtu] | min >= 1400"' 10
	spawn B iperf iperf3 -s -p 5201
	spawn B iperf1 iperf3 -s -p 5202
	wait_until 'listens B tcp 5201 && listens B tcp 5202' 5
}

stripe_links()
{
	wire_set A eth0 both none
	wire_set A eth1 both none
	wire_set A eth0 both "$1"
	wire_set A eth1 both "$2"
}

mbit() { jq '(.end.sum_received.bits_per_second // 0) / 1e6' "$1"; }

stripe_raw()
{
	local seconds=$1 other
	run_in A iperf3 -c "${ADDRESS[B/eth1]}" -p 5202 -t "$seconds" -O 1 -J >"$LAB/raw1.json" &
	other=$!
	run_in A iperf3 -c "${ADDRESS[B/eth0]}" -p 5201 -t "$seconds" -O 1 -J >"$LAB/raw0.json"
	wait $other
	echo "$(mbit "$LAB/raw0.json") $(mbit "$LAB/raw1.json")"
}

# What a sender that ends leaves in its sockets, megabytes, goes on all the same.
stripe_rest() { wait_until '[ -z "$(run_in A ss -Hnt state connected exclude time-wait)" ]' 20; }

stripe_tcp()
{
	run_in A iperf3 -c "${2:-10.44.0.2}" -p 5201 -t "$1" -O 1 -J "${@:3}" >"$LAB/tcp.json"
	stripe_rest
	mbit "$LAB/tcp.json"
}

# Sets STRIPE_MPTCP when there is MPTCP. A's second subflow comes from B's telling it of eth1.
stripe_mptcp_begin()
{
	STRIPE_MPTCP=
	[ "$(run_in B cat /proc/sys/net/mptcp/enabled 2>&1)" = 1 ] &&
		ip_in B mptcp limits set subflows 2 add_addr_accepted 2 &&
		ip_in A mptcp limits set subflows 2 add_addr_accepted 2 &&
		ip_in B mptcp endpoint add "${ADDRESS[B/eth1]}" dev eth1 signal || return 1
	spawn B mptcp env LD_PRELOAD="$WARP_BUILD/netns/mptcp.so" iperf3 -s -p 5203
	wait_until 'listens B tcp 5203' 5
	STRIPE_MPTCP=yes
}

stripe_mptcp()
{
	run_in A env LD_PRELOAD="$WARP_BUILD/netns/mptcp.so" iperf3 -c "${ADDRESS[B/eth0]}" -p 5203 \
		-t "$1" -O 1 -J >"$LAB/mptcp.json"
	stripe_rest
	mbit "$LAB/mptcp.json"
}

# stripe_ping SECONDS: the median, ms.
stripe_ping()
{
	run_in A ping -n -i 0.05 -w "$1" 10.44.0.2 | sed -n 's/.*time=\([0-9.]*\) .*/\1/p' | sort -n |
		awk '{ t[NR] = $1 } END { print NR ? t[int((NR + 1) / 2)] : -1 }'
}

# Whether A uses its path over this interface for payloads: true or false.
stripe_uses() { status A "[.peers[0].paths[] | select(.interface == \$i and .state == \"live\") | .stripe.used] | any(. == true)" --arg i "$1"; }

# ms_until CONDITION SECONDS: how long it takes to come true; what asking takes is a part of it.
ms_until()
{
	local start now
	start=$(date +%s%N)
	wait_until "$1" "$2" || { echo 99999; return; }
	now=$(date +%s%N)
	echo $(((now - start) / 1000000))
}
