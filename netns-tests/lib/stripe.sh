# shellcheck shell=bash
# Two hosts with two wires and a tunnel that stripes, for lib/lab.sh and lib/wire.sh.
#
#   stripe_begin                                  starts all; warp0 is 10.44.0.1 and 10.44.0.2
#   stripe_links TEXT0 TEXT1                      what the wires are like from now on
#   stripe_tcp [SECONDS]                          Mbit/s that iperf3 gets from A to B through warp0
# shellcheck disable=SC2034

# stripe_host HOST NUMBER PEER NUMBER
stripe_host()
{
	INTERFACES='listen_port: 51900
  interface_scan_interval: 60' conf "$1" <<-END
		far_gate:
		$(far_gate "$3" "endpoints: [\"${ADDRESS[$3/eth0]}:51900\", \"${ADDRESS[$3/eth1]}:51900\"]" \
			"allowed_ips: [10.44.0.$4/32]")
		tunnels:
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24] }
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
	WIRE_OPTIONS="$WIRE_OPTIONS -s 2" wire_link A eth1 B eth1 'delay 10ms'
	stripe_host A 1 B 2
	stripe_host B 2 A 1
	for h in A B; do spawn $h $h "$WARP_BUILD/warpd" -c "$LAB/$h.yaml"; done
	check connects "no two paths in 10 s" wait_until 'connected A B 2 && connected B A 2 &&
		status_is A "[.peers[].paths[] | select(.state == \"live\") | .mtu] | min >= 1400"' 10
	spawn B iperf iperf3 -s -p 5201
	wait_until 'listens B tcp 5201' 5
}

stripe_links()
{
	wire_set A eth0 both none
	wire_set A eth1 both none
	wire_set A eth0 both "$1"
	wire_set A eth1 both "$2"
}

# stripe_tcp [SECONDS] [ADDRESS]: after a second that does not count.
stripe_tcp()
{
	run_in A iperf3 -c "${2:-10.44.0.2}" -p 5201 -t "${1:-4}" -O 1 -J ${3:-} >"$LAB/tcp.json" || true
	jq '.end.sum_received.bits_per_second / 1e6' "$LAB/tcp.json"
}
