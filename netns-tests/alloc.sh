#!/usr/bin/env bash
# Under full load warpd asks nobody for memory, and does not take much of it: what it needs it has from the
# start, and its queues are bounded.
#
#    A eth0 --+            +-- eth0 B      TCP through warp0 and more UDP than can be through a
#             +- internet -+               gate, both at once, over one path and over four
#    A eth1 --+            +-- eth1 B
#
# tools/lib/alloc.c is preloaded and counts malloc(), calloc(), realloc(), mmap() and their relatives.
# alone: it keeps both processors busy
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq iperf3 od warpd warp netns/blast netns/alloc.so
case $WARP_BUILD in
*asan*) skip alloc "sanitizers have an allocator of their own"; exit 77 ;;
esac

RSS_MAX=16        # MiB
RSS_MAX_QUEUED=32 # with a queue that is full: some 230 buffers, of which each is full once if it goes on
SECONDS_COUNTED=2
UDP_RATE=400000 # of 200 bytes a second, more than passes

lab_internet
two_hosts

# member HOST NUMBER PEER NUMBER IFNAMES: addresses are scanned for at the start and not meanwhile, and
# routers are not asked for ports at all: either takes memory each time.
member()
{
	local dev endpoints=''
	for dev in $5; do endpoints+="${endpoints:+, }\"${ADDRESS[$3/$dev]}:51900\""; done
	INTERFACES="listen_port: 51900
  interface_scan_interval: 60
  port_mapping: false
  inclusion_patterns: [\"(${5// /|})\"]" conf "$1" <<-END
		far_gate:
		$(far_gate "$3" "endpoints: [$endpoints]" "allowed_ips: [10.44.0.$4/32]")
		tunnels:
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24] }
		  - name: video
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
	END
}

launch_counted()
{
	spawn "$1" "$1" env LD_PRELOAD="$WARP_BUILD/netns/alloc.so" ALLOC_FILE="$LAB/$1.counts" \
		"$WARP_BUILD/warpd" -c "$LAB/$1.yaml"
}

# Calls so far of both hosts: heap and mmap of A, heap and mmap of B.
calls() { for host in A B; do od -v -An -t u8 -N 16 "$LAB/$host.counts"; done | xargs; }
# Those of the event loop's library, whose lists double when more happens at once than ever before.
loop_calls() { for host in A B; do od -v -An -t u8 -j 16 -N 8 "$LAB/$host.counts"; done | xargs | tr ' ' +; }

# The places that the last calls came from, for people.
places()
{
	local host address range offset file
	for host in A B; do
		for address in $(od -v -An -t x8 -j 24 -N 64 "$LAB/$host.counts"); do
			while read -r range _ offset _ _ file; do
				((16#$address >= 16#${range%-*} && 16#$address < 16#${range#*-})) || continue
				printf '%s: %s+%x ' "$host" "${file##*/}" $((16#$address - 16#${range%-*} + 16#$offset))
			done <"/proc/$(pid "$host")/maps"
		done
	done
}

# The most that the larger end ever held, in MiB.
peak_rss()
{
	awk '/^VmHWM/ { m = $2 > m ? $2 : m } END { printf "%.2f", m / 1024 }' \
		"/proc/$(pid A)/status" "/proc/$(pid B)/status"
}

# under_load NAME PATHS IFNAMES RSS
under_load()
{
	local before after loop rss
	member A 1 B 2 "$3"
	member B 2 A 1 "$3"
	for host in A B; do launch_counted "$host"; done
	check "$1/connects" "not in 10 s" wait_until "connected A B $2 && connected B A $2 &&
		status_is A '[.peers[].paths[].mtu] | min >= 1400' && status_is B '[.peers[].paths[].mtu] | min >= 1400'" 10
	: >"$LAB/iperf.log"
	spawn B "iperf-$1" iperf3 -s -1 -B 10.44.0.2
	wait_until 'listens B tcp 5201' 5
	spawn A tcp iperf3 -c 10.44.0.2 -P 4 -t $((SECONDS_COUNTED + 2)) -J
	: >"$LAB/udp.log"
	spawn A udp "$WARP_BUILD/netns/blast" rate "/run/netns/$(ns A)" "/run/netns/$(ns B)" -a 127.1.0.1:9001 \
		-b 127.1.0.1:9001 -d 127.1.0.1:9000 -s 200 -t $(((SECONDS_COUNTED + 2) * 1000)) -r $UDP_RATE
	check "$1/flows" "nothing comes" wait_until 'status_is B "[.tunnels[].rx_payloads] | min > 1000"' 5
	before=$(calls) loop=$(($(loop_calls)))
	for_seconds $SECONDS_COUNTED 'running A && running B && running tcp && running udp'
	check "$1/load_lasts" "it ended early" running tcp
	after=$(calls)
	if [ "$before" = "$after" ]; then
		ok "$1/no_allocation"
	else
		fail "$1/no_allocation" "calls of A and B, heap and mmap: $before, then $after, from $(places)"
	fi
	loop=$(($(loop_calls) - loop))
	check "$1/loop_does_not_grow_on" "$loop calls in $SECONDS_COUNTED s" [ "$loop" -le 4 ]
	check "$1/is_counted" "$before" [ "${before%% *}" -gt 50 ]
	await tcp 10
	await udp 10
	rss=$(peak_rss)
	record "alloc/$1" rss_mib "$rss" MiB "<= $4"
	check "$1/rss" "$rss MiB" compare "$rss" '<=' "$4"
	record "alloc/$1" udp_200_came "$(said udp .came)" 1/s ""
	stop A
	stop B
}

under_load one_path 1 eth0 $RSS_MAX
under_load four_paths 4 'eth0 eth1' $RSS_MAX
# Queues fill, as more is to be sent than the link takes.
run_in A tc qdisc add dev eth0 root tbf rate 200mbit burst 100kb limit 16mb || lab_die tc
under_load slow_path 1 eth0 $RSS_MAX_QUEUED
lab_end
