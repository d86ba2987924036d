#!/usr/bin/env bash
# What may fail around a tunnel: the map, the other daemon, both, and every clock on the wall.
#
#    A eth0 --+            +-- eth0 B
#             +- internet -+              C: a third node, which can find A only through the map
#    A eth1 --+   |    |   +-- eth1 B
#                map   C eth0
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping cc warpd warp-map warp netns/numbers

INTERVAL=2
lab_internet
two_hosts
host C
uplink C eth0
start_map
INTERFACES="interface_scan_interval: $INTERVAL"$'\n'"  holepunch_keep_alive_interval: 1"
FAR_GATES_A=$(far_gate C 'allowed_ips: [10.44.0.3/32]') conf_pair
conf C <<END
far_gate:
$(far_gate A 'allowed_ips: [10.44.0.1/32]')
tunnels: [{ name: net, gate: { tun: warp0, address: [10.44.0.3/24] } }]
END
start_warpd A B
check connects "4 paths are not live in 5 s" wait_until 'connected A B 4 && connected B A 4' 5

# traffic NAME [COUNT]: 500 numbered datagrams a second from A to B begin; when it returns some have come.
traffic()
{
	receive B "$1" udp:127.1.0.1:9001 -n "${2:-2000}" -i 1500
	send_along A "$1-sender" udp:127.1.0.1:9000 -n "${2:-2000}" -r 500
	local before
	before=$(status B '.tunnels[] | select(.name == "video") | .rx_payloads')
	wait_until "[ \$(status B '.tunnels[] | select(.name == \"video\") | .rx_payloads') -gt $((before + 50)) ]" 5
}

# resumes NAME WHAT: of traffic that was begun as NAME; the longest gap should be below a second, of
# which the machine may spend some elsewhere.
resumes()
{
	local gap
	await "$1-sender" 20
	await "$1" 20
	gap=$(said "$1" .longest_gap_ms)
	record failures "gap_$1" "${gap:--1}" ms "< 1000"
	check "$1/resumes_soon" "the gap was ${gap:-?} ms; $(told "$1")" compare "${gap:-9999}" '<' 3000
	check "$1/nothing_twice" "$(told "$1")" [ "$(said "$1" .duplicated)" = 0 ]
	check "$1/goes_on_to_the_end" "the last was $(said "$1" .last)" [ "$(said "$1" .last)" = 1999 ]
}

# --- one link becomes silent: the map answers on the other one and is not given up

link_cut A eth1
for_seconds 4 true
check silent_link/map_stays "it is said not to answer" not grep -q 'does not answer' "$LAB/A.log"
link_mend A eth1
check silent_link/comes_back "4 paths are not live in 3 s" wait_until 'connected A B 4 && connected B A 4' 3

# --- the map dies and comes back

traffic map_restart 3000
stop map KILL
for_seconds $((INTERVAL + 1)) true
check_soon map_down/paths_stay 'connected A B 4 && connected B A 4' 2 '$(live_paths A B) live'
start_map
start_warpd C
begun=$(now_us)
check map_back/nodes_are_found "C does not find A in 8 s" \
	wait_until 'connected C A && connected A C' 8
record failures map_back_nodes_found $((($(now_us) - begun) / 1000)) ms "<= $((INTERVAL * 1000 + 1000))"
await map_restart-sender 20
await map_restart 20
check map_restart/traffic_unaffected "$(told map_restart)" all_once map_restart

# --- the peer dies and comes back

traffic peer_restart
stop B KILL
start_warpd B
resumes peer_restart

traffic sender_restart
stop A KILL
start_warpd A
resumes sender_restart

traffic both_restart
stop A KILL
stop B KILL
start_warpd A B
resumes both_restart

# --- SIGTERM says good-bye

wait_until 'connected A B 4 && connected C A && status_is B ".peers[0].registered | length > 0"' 5
begun=$(now_us)
kill "$(pid A)"
check sigterm/peer_is_told "B says $(status B '.peers[0].state')" \
	wait_until 'status_is B ".peers[0].state == \"closed\""' 1
record failures sigterm_peer_told $((($(now_us) - begun) / 1000)) ms "<= 1000"
check sigterm/is_deregistered "the map still tells of $(status B '.peers[0].registered' -c)" \
	wait_until 'status_is B ".peers[0].registered | length == 0"' 1
stop A
check sigterm/exit_status "it was not 0" [ $? = 0 ]
check sigterm/tun_is_gone "warp0 is still there" not run_in A ip link show dev warp0
start_warpd A
check sigterm/comes_back "not in 3 s" wait_until 'connected A B && connected B A && connected C A' 3

# --- wrong clocks on the wall: A is 30 years behind, B 40 years ahead, and A's jumps meanwhile

stop A
stop B
if cc -shared -fPIC -O1 -D_GNU_SOURCE -o "$LAB/clock.so" "$LAB_SOURCE/netns-tests/tools/lib/clock.c" -ldl; then
	# with_clock HOST SECONDS: starts warpd with a wall clock that is off by so much.
	with_clock()
	{
		printf '%-20s\n' "$2" >"$LAB/$1.clock"
		spawn "$1" "$1" env LD_PRELOAD="$LAB/clock.so" CLOCK_FILE="$LAB/$1.clock" \
			"$WARP_BUILD/warpd" -c "$LAB/$1.yaml"
	}
	year=$((365 * 86400))
	with_clock A $((-30 * year))
	with_clock B $((40 * year))
	check wrong_clocks/connect "not in 8 s" wait_until 'connected A B 4 && connected B A 4' 8
	# The shim must have been asked, or this shows nothing.
	check wrong_clocks/are_really_wrong "the library was not loaded" \
		sh -c 'grep -q clock.so "/proc/$1/maps" && grep -q clock.so "/proc/$2/maps"' sh "$(pid A)" "$(pid B)"
	traffic wrong_clocks 1500
	# Without truncating it: the file is mapped.
	printf '%-20s\n' $((5 * year)) 1<>"$LAB/A.clock"
	await wrong_clocks-sender 10
	await wrong_clocks 10
	check wrong_clocks/traffic_unaffected "$(told wrong_clocks)" all_once wrong_clocks
	check wrong_clocks/map_accepts "A is not registered" \
		wait_until 'status_is A "[.interfaces[].maps[].registered] | length == 2 and all"' $((INTERVAL + 1))
else
	skip wrong_clocks "cc cannot make a shared library"
fi

# --- no map at all

for name in A B C map; do stop $name; done
INTERFACES='listen_port: 51900'
FAR_GATE_A="endpoints: ['${ADDRESS[B/eth0]}:51900', '${ADDRESS[B/eth1]}:51900']"
FAR_GATE_B="endpoints: ['${ADDRESS[A/eth0]}:51900', '${ADDRESS[A/eth1]}:51900']"
conf_pair
start_warpd A B
check no_map/static_endpoints_connect "not in 3 s" wait_until 'connected A B 4 && connected B A 4' 3
check no_map/traffic "no answer" run_in A ping -c 3 -i 0.1 -W 1 -q 10.44.0.2
lab_end
