#!/usr/bin/env bash
# The demonstration: two hosts with two links each, all behind NAT routers. Links fail, nothing is lost.
#
#    A eth0 -- router (port-restricted) --+            +-- router (full-cone) ------- eth0 B
#                                         +- internet -+
#    A eth1 -- router (symmetric) --------+     |      +-- router (port-restricted) -- eth1 B
#                                              map
#
#   demo.sh [--family 4|6] [--stay]      also DEMO_FAMILY=6 make demo
#
# --family 6: the same over IPv6 links, whose routers are firewalls. --stay: leaves everything up with a
# shell on host A until you exit it.
# Exit status: 0 when every numbered packet came exactly once, 1 when not, 2 when it cannot run here.
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"

PINGS=1000
family=${DEMO_FAMILY:-4} stay=
while [ $# -gt 0 ]; do
	case $1 in
	--family) family=${2:-}; shift ;;
	--stay) stay=1 ;;
	*) family=usage ;;
	esac
	shift
done
case $family in
4 | 6) ;;
*)
	echo "usage: demo.sh [--family 4|6] [--stay]" >&2
	exit 2
	;;
esac
why=$(lab_obstacle tun ping jq ss warpd warp-map warp)
if [ -n "$why" ]; then
	echo "warp demo: $why" >&2
	exit 2
fi
lab_begin

# say TEXT: with the time since the daemons were started.
begun=$(now_us)
say() { printf '%6.2f s  %s\n' "$(awk -v t=$(($(now_us) - begun)) 'BEGIN { print t / 1e6 }')" "$1"; }
headline() { printf '\n== %s\n' "$1"; }

# --- build it

if [ "$family" = 4 ]; then
	nats=(port-restricted symmetric full-cone port-restricted)
	# A's symmetric link and B's port-restricted one do not fit: three of the four combinations.
	expected=3
else
	nats=(firewall firewall firewall firewall)
	expected=4
fi
cat <<END
warp: two hosts, two links each, every link behind a router of its own (IPv$family)

  host A  eth0 -- $(printf '%-16s' "${nats[0]}")--+            +-- $(printf '%-16s' "${nats[2]}")-- eth0  host B
                                     +- internet -+
          eth1 -- $(printf '%-16s' "${nats[1]}")--+     |      +-- $(printf '%-16s' "${nats[3]}")-- eth1
                                           map
END
lab_internet
host A
host B
uplink A eth0 "nat=${nats[0]}" "family=$family"
uplink A eth1 "nat=${nats[1]}" "family=$family"
uplink B eth0 "nat=${nats[2]}" "family=$family"
uplink B eth1 "nat=${nats[3]}" "family=$family"
start_map

# node HOST OWN-NUMBER PEER PEER-NUMBER
node()
{
	MAP=$family conf "$1" <<-END
		far_gate:
		$(far_gate "$3" "allowed_ips: [10.44.0.$4/32, 'fd44::$4/128']")
		tunnels:
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24, 'fd44::$2/64'] }
	END
}
node A 1 B 2
node B 2 A 1

headline "The daemons find each other through the map"
begun=$(now_us)
start_warpd A B
say "warp-map and two warpd are up"
if ! wait_until 'connected A B 1 && connected B A 1' 10; then
	say "they do not find each other; host A says:"
	warp -s "$LAB/A.sock" status
	exit 1
fi
say "A and B talk to each other directly"
wait_until "connected A B $expected && connected B A $expected" 5
if [ "$family" = 4 ]; then
	say "$(live_paths A B) of the 4 combinations of links are live (symmetric and port-restricted do not fit at once)"
else
	say "$(live_paths A B) of the 4 combinations of links are live"
fi
printf '\n$ warp status          (on host A)\n'
warp -s "$LAB/A.sock" status | sed 's/^/  /'

# --- break it

headline "$PINGS numbered pings through warp0, 100 a second, while links fail"
spawn A ping ping -D -i 0.01 -c $PINGS -W 2 10.44.0.2
ping_begun=$(now_us)

# at_ping NUMBER: waits until that one has been sent, which is when its time has come.
at_ping() { wait_until "[ \$((\$(now_us) - $ping_begun)) -ge $(($1 * 10000)) ]" 15; }

at_ping 200
link_down A eth0
say "ping 200: host A loses eth0, the cable is pulled"
at_ping 450
link_up A eth0
say "ping 450: the cable is back"
wait_until "connected A B $expected && connected B A $expected" 5
say "          $(live_paths A B) paths are live again"
at_ping 600
link_cut B eth0
say "ping 600: host B's eth0 goes silent, nobody is told"
at_ping 850
link_mend B eth0
say "ping 850: it carries packets again"
wait_until "connected A B $expected && connected B A $expected" 5
say "          $(live_paths A B) paths are live again"
await ping 15

summary=$(grep 'packets transmitted' "$LAB/ping.log")
sent=$(sed 's/ packets transmitted.*//' <<<"$summary")
answered=$(grep -c 'icmp_seq=' "$LAB/ping.log")
received=$(grep -o 'icmp_seq=[0-9]*' "$LAB/ping.log" | sort -u | wc -l)
duplicated=$((answered - received))
lost=$((sent - received))
slowest=$(grep -o 'time=[0-9.]*' "$LAB/ping.log" | cut -d = -f 2 | sort -g | tail -n 1)
printf '\n  sent %s   received %s   lost %s   duplicated %s   slowest round trip %s ms\n' \
	"$sent" "$received" "$lost" "$duplicated" "${slowest:--}"

headline "What the paths carried (every packet goes out on every live path; B passes on the first copy)"
{
	echo "A's link|B's link as A sees it|state|sent|lost|came first from B|came again|ms"
	status A '.peers[] | .paths[] | select(.rx_first > 0) | [.interface, .remote, .state, .tx_sent, .tx_lost, .rx_first,
		.rx_duplicate, ((.rtt_ms // 0) * 100 | round / 100)] | join("|")'
} | awk -F '|' '{ printf "  %-9s %-28s %-9s %6s %6s %18s %11s %8s\n", $1, $2, $3, $4, $5, $6, $7, $8 }'

if command -v iperf3 >/dev/null; then
	headline "And TCP, as fast as this machine simulates it (iperf3, 3 s, every byte on every path)"
	spawn B iperf3 iperf3 -s -1 -B 10.44.0.2
	wait_until 'listens B tcp 5201' 5
	run_in A timeout 15 iperf3 -c 10.44.0.2 -t 3 -J >"$LAB/tcp.json"
	mbps=$(jq '.end.sum_received.bits_per_second / 1e6 | round' "$LAB/tcp.json" 2>/dev/null)
	printf '  %s Mbit/s\n' "${mbps:-failed:}"
	[ -n "$mbps" ] || { jq -r '.error' "$LAB/tcp.json"; LAB_FAILED=1; }
fi

headline "Result"
if [ "$sent" = "$PINGS" ] && [ "$lost" = 0 ] && [ "$duplicated" = 0 ]; then
	echo "  Nothing was lost, nothing came twice."
else
	echo "  NOT as it should be: $lost lost, $duplicated duplicated of $sent."
	LAB_FAILED=1
fi
record demo pings_lost "$lost" packets "== 0" >/dev/null
record demo pings_duplicated "$duplicated" packets "== 0" >/dev/null
cat <<'END'

  Try next:
    netns-tests/demo.sh --stay        the same, then a shell on host A: ping, warp watch, pull cables
    netns-tests/demo.sh --family 6    over IPv6
    build/warp example                a commented configuration; `warp genkey` makes a key
    man -l man/warpd.8                the daemon; `make check` runs every test there is
END

if [ -n "$stay" ]; then
	cat <<-END

		This shell is on host A. B is 10.44.0.2. Exit it to take everything down.
		  warp -s \$WARP watch                                    what is going on
		  ip netns exec $(ns router-A-eth0) ip link set lan down   pulls a cable ('up' puts it back)
	END
	WARP=$LAB/A.sock PATH=$WARP_BUILD:$PATH PS1='host A# ' run_in A bash --norc
fi
lab_end
