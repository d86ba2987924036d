#!/usr/bin/env bash
# warpd as a program: a reload changes what differs and nothing else, a bad file nothing at all; what
# cannot be is said in one line with exit status 2; privileges are given up.
#
#    A eth0, eth1 --+- internet -+-- eth0, eth1 B
#    C eth0 --------+            (no map: endpoints are configured)
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping ss capsh unshare python3 warpd warp netns/numbers

lab_internet
two_hosts
host C
uplink C eth0

# write HOST NUMBER PEERS TUNNELS: a configuration without a map.
write()
{
	conf "$1" <<-END
		far_gate:
		$3
		tunnels:
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24] }
		  - name: data
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		$4
	END
}
peer() { far_gate "$1" "endpoints: [${ADDRESS[$1/eth0]}:51900]" "allowed_ips: [10.44.0.$2/32]"; }
export INTERFACES='listen_port: 51900'
b=$(peer B 2)
c=$(peer C 3)
write A 1 "$b" ''
write B 2 "$(peer A 1)"$'\n'"$c" ''
write C 3 "$(peer A 1)"$'\n'"$(peer B 2)" ''
start_warpd A B C
check connects "2 paths are not live in 5 s" wait_until 'connected A B 2 && connected B A 2' 5

# all_connected: A's two links to B's first one, of which A knows, and to the other, which B sends from.
all_connected() { connected A B 4 && connected B A 4; }
check connects_all "not 4 paths in 10 s" wait_until all_connected 10

# --- privileges

# The bits of /proc/PID/status, by capsh; nothing else may be left.
capabilities() { capsh --decode="$(sed -n "s/^$1:\t//p" "/proc/$(pid A)/status")"; }
for set in CapPrm CapEff CapBnd; do
	check "keeps_three_capabilities/$set" "$(capabilities $set)" \
		[ "$(capabilities $set | sed 's/.*=//')" = cap_chown,cap_net_admin,cap_net_raw ]
done
check no_new_privileges "it may gain some" grep -q '^NoNewPrivs:.1' "/proc/$(pid A)/status"
check no_core_files "it may write one" grep -Eq '^Max core file size +0 +0' "/proc/$(pid A)/limits"
check control_socket_is_private "others may ask" [ "$(stat -c %a "$LAB/A.sock")" = 600 ]

# --- reload: all the time datagrams pass from A to B

receive B steady udp:127.1.0.1:9001 -n 20000 -i 1500
send_along A sender udp:127.1.0.1:9000 -n 20000 -r 1000
reload() { run_in A "$WARP_BUILD/warp" -s "$LAB/A.sock" reload >"$LAB/reload.out" 2>&1; }
has_tunnel() { status_is A '.tunnels | any(.name == $t)' --arg t "$1"; }
session() { status A '.peers[] | select(.name == "B") | .session_age'; }

before=$(session) begun=$(now_us)
write A 1 "$b" '  - name: added
    gate: { path: '"$LAB"'/added.sock, mode: 0640 }'
check tunnel_is_added "$(cat "$LAB/reload.out")" reload
check tunnel_is_added/has_its_gate "no socket" [ "$(stat -c '%F %a' "$LAB/added.sock")" = 'socket 640' ]
write A 1 "$b"$'\n'"$c" '  - name: added
    gate: { application_to_gate: "127.1.0.1:9100" }'
check peer_is_added "$(cat "$LAB/reload.out")" reload
check peer_is_added/connects "no path to C" wait_until 'connected A C 1' 5
check tunnel_is_changed "the old socket is there, or the new one is not" \
	[ ! -e "$LAB/added.sock" -a -n "$(run_in A ss -Hlun 'sport = 9100')" ]
write A 1 "$b" ''
kill -HUP "$(pid A)"
check sighup_reloads "the tunnel is still there" wait_until '! has_tunnel added' 2
check peer_is_removed "C is still there" status_is A '[.peers[].name] == ["B"]'
check peer_is_removed/is_told "C has paths" wait_until '! connected C A 1' 2

INTERFACES=$'listen_port: 51900\n  exclusion_patterns: ["eth1"]' write A 1 "$b" ''
check pattern_excludes "$(cat "$LAB/reload.out")" reload
check pattern_excludes/at_once "eth1 is used" status_is A '[.interfaces[].name] == ["eth0"]'
write A 1 "$b" ''
check pattern_includes "$(cat "$LAB/reload.out")" reload
check pattern_includes/connects "eth1's path is not live" wait_until 'all_connected' 5

unchanged() { [ "$(state_of A)" = "$state" ]; }
# bad NAME WORDS: the file is refused with these words, and nothing has changed.
bad()
{
	wait_until all_connected 5
	state=$(state_of A)
	check "$1" "exit status is not 2" sh -c '"$@"; [ $? = 2 ]' sh "$WARP_BUILD/warp" -s "$LAB/A.sock" reload
	reload
	check "$1/is_explained" "$(cat "$LAB/reload.out")" grep -q "$2" "$LAB/reload.out"
	check "$1/changes_nothing" "it has" wait_until unchanged 3
}
write A 1 "$b" '  - name: data'
bad bad_file 'A.yaml:[0-9]*:[0-9]*: '
write A 1 "$b" ''
sed -i "s,^control_socket:.*,control_socket: $LAB/other.sock," "$LAB/A.yaml"
bad other_control_socket 'needs a restart'
write A 1 "$b" ''
(umask 077 && warp genkey >"$LAB/other.key")
sed -i "s,^private_key_file:.*,private_key_file: $LAB/other.key," "$LAB/A.yaml"
bad other_private_key 'needs a restart'

# What a port or gate needs that were not there at the start has been given up.
INTERFACES='listen_port: 519' write A 1 "$b" ''
bad low_port 'listen_port.*needs a restart'
write A 1 "$b" "  - name: dgram
    gate: { path: $LAB/dgram.sock, type: dgram }"
bad dgram_gate 'dgram.*needs a restart'

# A gate that another program's port keeps from opening is tried again.
spawn A holder python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.1.0.1", 9300)); s.recv(1)'
wait_until '[ -n "$(run_in A ss -Hlun "sport = 9300")" ]' 5
INTERFACES=$'listen_port: 51900\n  interface_scan_interval: 1' write A 1 "$b" '  - name: late
    gate: { application_to_gate: "127.1.0.1:9300" }'
check busy_gate_is_told "it is not" not reload
check busy_gate_is_told/by_name "$(cat "$LAB/reload.out")" grep -q '127.1.0.1:9300' "$LAB/reload.out"
stop holder
check busy_gate_is_opened_later "it is not" \
	wait_until 'run_in A ss -Hlunp "sport = 9300" | grep -q warpd' 4

# --- what another mode, another program, or a person does to warp0

mtu() { run_in A ip -o link show warp0 | sed 's/.* mtu \([0-9]*\) .*/\1/'; }
check mtu_is_found "$(mtu)" wait_until '[ "$(mtu)" -gt 1400 ]' 10
before_mode=$(mtu)
cp "$LAB/A.yaml" "$LAB/A.before"
sed -i 's/^  - name: net$/&\n    transport: { redundancy: { mode: shards } }/' "$LAB/A.yaml"
check mode_changes "$(cat "$LAB/reload.out")" reload
check mode_changes/mtu_follows "$(mtu), was $before_mode" [ "$(mtu)" -lt "$before_mode" ]
cp "$LAB/A.before" "$LAB/A.yaml"
reload
run_in A ip route add 192.168.77.0/24 dev eth0
sed -i 's,warp0, warp0\, routes: [192.168.77.0/24\, 203.0.113.0/24],' "$LAB/A.yaml"
check route_of_another "$(cat "$LAB/reload.out")" reload
check route_of_another/is_kept "$(run_in A ip route)" sh -c 'ip -n "$1" route | grep -q "^192.168.77.0/24 dev eth0"' sh "$(ns A)"
check route_of_another/is_told "it is not" grep -q 'there is a route to 192.168.77.0/24 over eth0 already, which is kept' "$LAB/A.log"
check route_of_another/others_are_added "$(run_in A ip route)" sh -c 'ip -n "$1" route | grep -q "^203.0.113.0/24 dev warp0"' sh "$(ns A)"
# It is made again at the next look, which may be at once: unless another has the name by then.
run_in A ip -batch - <<'END' || lab_die "warp0 could not be replaced"
link del warp0
link add warp0 type veth peer name hold0
END
check lost_device_is_told "$(status A .tunnels -c)" wait_until \
	'status_is A ".tunnels[] | select(.name == \"net\") | .gate_open | not"' 3
check lost_device_is_told/on_the_page "it is not" grep -q 'GATE NOT OPEN' <(warp -s "$LAB/A.sock" status)
run_in A ip link del warp0
check lost_device_comes_back "$(tail -n 3 "$LAB/A.log")" wait_until \
	'status_is A ".tunnels[] | select(.name == \"net\") | .gate_open" && [ "$(mtu)" -gt 1000 ]' 5
cp "$LAB/A.before" "$LAB/A.yaml"
reload

least=$((${before%.*} + ($(now_us) - begun) / 1000000 - 1))
check same_session "age $(session), was $before, $least at least" compare "$(session)" '>=' "$least"
stop sender
wait_until '! running steady' 5
await steady 1
check traffic_never_noticed "$(told steady)" \
	[ "$(said steady '.last + 1 - .unique')" = 0 -a "$(said steady .duplicated)" = 0 ]

# --- what cannot be

# refused NAME WORDS COMMAND...: one line on stderr with these words, exit status 2. (What warp9 can do
# is told as soon as it is there.)
refused()
{
	local name=$1 words=$2 status
	shift 2
	run_in A timeout 5 "$@" >"$LAB/$name.out" 2>&1
	status=$?
	check "$name" "exit status $status: $(cat "$LAB/$name.out")" [ $status = 2 ]
	check "$name/is_explained" "$(cat "$LAB/$name.out")" grep -q -- "$words" "$LAB/$name.out"
	[ "${name#*arguments}" != "$name" ] ||
		check "$name/in_one_line" "$(cat "$LAB/$name.out")" [ "$(grep -vc ': offloads: ' "$LAB/$name.out")" = 1 ]
}
daemon=$WARP_BUILD/warpd
refused unknown_arguments 'unrecognized option' "$daemon" --nothing
refused superfluous_arguments "'more'" "$daemon" more
refused no_file "$LAB/none" "$daemon" -c "$LAB/none"
refused second_daemon 'already running' "$daemon" -c "$LAB/A.yaml"
# variant SED-EXPRESSION...: A's configuration, for another daemon beside it.
variant()
{
	sed -e "s,$LAB/A.sock,$LAB/V.sock," -e 's/warp0/warp9/; s/:900[01]/:9400/; s/:9300/:9500/' "$@" \
		"$LAB/A.yaml" >"$LAB/V.yaml"
}
variant -e 's/:9500/:9400/'
refused same_port_twice "the same gate" "$daemon" -c "$LAB/V.yaml"
variant
sed -i 's/:9400/:9000/' "$LAB/V.yaml"
refused port_in_use 'udp 127.1.0.1:9000' "$daemon" -c "$LAB/V.yaml"
variant
sed -i 's/warp9/warp0/' "$LAB/V.yaml"
refused tun_in_use 'warp0' "$daemon" -c "$LAB/V.yaml"
variant
refused no_net_admin 'CAP_NET_ADMIN' capsh --drop=cap_net_admin -- -c "exec $daemon -c $LAB/V.yaml"
refused no_dev_net_tun '/dev/net/tun' unshare -m sh -c \
	"mount -t tmpfs none /dev/net && exec $daemon -c $LAB/V.yaml"
variant -e "s,gate: { application_to_gate: \"127.1.0.1:9500\".*,gate: { path: $LAB/V.yaml },"
refused path_of_a_file 'not a socket' "$daemon" -c "$LAB/V.yaml"
check path_of_a_file/stays "it is gone" [ -f "$LAB/V.yaml" ]
variant -e "s,gate: { application_to_gate: \"127.1.0.1:9500\".*,gate: { path: $LAB/A.sock },"
refused path_in_use 'in use' "$daemon" -c "$LAB/V.yaml"
check path_in_use/stays "A does not answer" status A .uptime

check sigterm "exit status is not 0" stop A
check sigterm/takes_its_sockets_along "$LAB/A.sock is there" [ ! -e "$LAB/A.sock" ]
lab_end
