# shellcheck shell=bash
# The laboratory: hosts, links, NAT routers and a small internet out of network namespaces.
#
#   . "$(dirname "$0")/lib/lab.sh"
#   lab_begin                          # root, TUN, programs: else the test is skipped
#   lab_internet                       # a routing namespace: the internet, 11.0.0.0/8 and 2001:db8::/32
#   host A; host B
#   uplink A eth0 nat=port-restricted  # A -- router (NAT) -- internet
#   uplink A eth1 nat=symmetric        # a second link of A behind a router of its own
#   uplink B eth0                      # B has a public address
#   start_map                          # warp-map on a host of its own
#   conf A <<END                       # A's configuration: key, control socket and map are put in
#   far_gate:
#   $(far_gate B 'allowed_ips: [10.44.0.2/32]')
#   tunnels: [{ name: net, gate: { tun: warp0, address: [10.44.0.1/24] } }]
#   END
#   start_warpd A; start_warpd B
#   wait_until 'connected A B' 5 && ok connects || fail connects "not in 5 s"
#   lab_end
#
# Namespaces have names that are unique to this run, interfaces exist only inside them, files only in a
# temporary directory: runs do not disturb each other. Whatever ends the script, its processes, its
# namespaces and its files go with it. netns-tests/README.md tells how tests are written.

# Tests use variables that this file only sets.
# shellcheck disable=SC2034

set -u
# shellcheck source=netns-tests/lib/nat.sh
. "$(dirname "${BASH_SOURCE[0]}")/nat.sh"
LAB_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WARP_BUILD=${WARP_BUILD:-$LAB_SOURCE/build}
LAB_NAME=$(basename "$0" .sh)
LAB_RESULTS=${RESULTS:-$LAB_SOURCE/build/results}
case $LAB_RESULTS in /*) ;; *) LAB_RESULTS=$LAB_SOURCE/$LAB_RESULTS ;; esac

LAB=           # the temporary directory of this run
LAB_ID=        # unique to this run, part of every namespace's name
LAB_OUTPUT=1   # where results go
LAB_FAILED=0   # results that were not ok
LAB_NETS=0     # links so far: each has a network of its own
LAB_MAP=       # what `conf` writes as warp_map
LAB_MAP_KEY=
declare -A LAB_PID=()   # name of a process -> pid
declare -A FAR=()       # HOST/IFNAME -> namespace and device at the other end of the link
declare -A ROUTER=()    # HOST/IFNAME -> namespace of its router ("" without one)
declare -A ADDRESS=()   # HOST/IFNAME -> IPv4 address of the interface
declare -A ADDRESS6=()  # HOST/IFNAME -> IPv6 address
declare -A PUBLIC=()    # HOST/IFNAME -> IPv4 address that the internet sees
declare -A GATEWAY=()   # HOST/IFNAME -> IPv4 gateway
declare -A GATEWAY6=()

# --- results --------------------------------------------------------------------------------------

ok() { printf 'ok %s\n' "$1"; }
skip() { printf 'skip %s: %s\n' "$1" "$2"; }
fail()
{
	printf 'not ok %s: %s\n' "$1" "$2"
	LAB_FAILED=1
}

# check NAME WHY COMMAND...: ok when the command (whose output nobody sees) succeeds.
check()
{
	local name=$1 why=$2
	shift 2
	if "$@" >/dev/null 2>&1; then ok "$name"; else fail "$name" "$why"; fi
}

# check_soon NAME CONDITION SECONDS WHY: ok when wait_until succeeds. WHY is expanded afterwards: it tells how
# things are when time is over.
check_soon()
{
	if wait_until "$2" "$3"; then ok "$1"; else fail "$1" "not in $3 s; $(eval "printf %s \"$4\"")"; fi
}

not() { ! "$@"; }

# record TEST METRIC VALUE UNIT GOAL [SAMPLES]: a measured number, for people and for
# build/results/<script>.jsonl. SAMPLES are numbers with commas between them.
record()
{
	printf '%s: %s = %s %s%s\n' "$1" "$2" "$3" "$4" "${5:+ (goal $5)}"
	printf '{"test": "%s", "metric": "%s", "value": %s, "unit": "%s"%s%s}\n' "$1" "$2" "$3" "$4" \
		"${5:+, \"goal\": \"$5\"}" "${6:+, \"samples\": [$6]}" |
		flock "$LAB_RESULTS/.lock" tee -a "$LAB_RESULTS/$LAB_NAME.jsonl" >/dev/null
}
# row METRIC...: as record, of this script, into build/results/redundancy.jsonl, where several scripts write,
# perhaps at the same time. rows_begin: what this script wrote there in earlier runs goes.
row()
{
	local test=${LAB_NAME#long_}
	LAB_NAME=redundancy record "$test" "$@"
}
rows_begin()
{
	touch "$LAB_RESULTS/redundancy.jsonl"
	flock "$LAB_RESULTS/.lock" sed -i "/\"test\": \"${LAB_NAME#long_}\"/d" "$LAB_RESULTS/redundancy.jsonl"
}

# compare A OP B: of numbers that need not be whole. What is no number is never so.
compare()
{
	local number='^-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?$'
	[[ $1 =~ $number && $3 =~ $number ]] || return 1
	awk -v a="$1" -v b="$3" "BEGIN { exit !(a $2 b) }"
}

# --- beginning and end ----------------------------------------------------------------------------

# lab_obstacle [tun] [PROGRAM...]: says why this cannot run here; nothing when it can.
lab_obstacle()
{
	local need
	[ "$(id -u)" = 0 ] || { echo "needs root (network namespaces)"; return; }
	for need in ip nft "$@"; do
		case $need in
		tun) [ -c /dev/net/tun ] && (exec 3<>/dev/net/tun) 2>/dev/null || { echo "/dev/net/tun cannot be opened"; return; } ;;
		warpd | warp | warp-map | netns/*)
			[ -x "$WARP_BUILD/$need" ] || { echo "build/$need is not built: run make"; return; } ;;
		*) command -v "$need" >/dev/null || { echo "$need is not installed: run make deps"; return; } ;;
		esac
	done
	unshare --net true 2>/dev/null || echo "network namespaces cannot be made here"
}

# lab_begin [NEED...]: needs as of lab_obstacle; ends the script as skipped (77) when one is missing.
lab_begin()
{
	local why
	why=$(lab_obstacle "$@")
	if [ -n "$why" ]; then
		skip "$LAB_NAME" "$why"
		exit 77
	fi
	LAB_ID=$(printf '%x%04x' $$ $RANDOM)
	LAB=${TMPDIR:-/tmp}/warp-lab-$LAB_ID
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 141' PIPE
	trap 'exit 143' TERM
	trap lab_clean_up EXIT
	mkdir -m 700 "$LAB" || exit 2
	exec {LAB_OUTPUT}>&1
	mkdir -p "$LAB_RESULTS"
	: >"$LAB_RESULTS/$LAB_NAME.jsonl"
}

lab_end() { exit "$LAB_FAILED"; }

# Also where nobody would see what is said.
lab_die()
{
	fail laboratory "$1" >&"$LAB_OUTPUT"
	exit 1
}

# A pid together with its time of birth: a number that has been given to another process is not ours.
lab_birth() { sed -n 's/^.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
lab_remember() { printf '%s %s\n' "$1" "$(lab_birth "$1")" >>"$LAB/pids"; }

lab_pids()
{
	local pid birth
	while read -r pid birth; do
		[ -z "$birth" ] || [ "$(lab_birth "$pid")" != "$birth" ] || echo "$pid"
	done 2>/dev/null <"$LAB/pids"
	# Daemons that our programs left behind live in our namespaces only.
	for pid in $(lab_namespaces); do ip netns pids "$pid" 2>/dev/null; done
}

lab_namespaces() { cat "$LAB/namespaces" 2>/dev/null; }

lab_clean_up()
{
	local status=$? pids name
	trap '' HUP INT TERM PIPE
	trap - EXIT
	if [ "$status" != 0 ] && [ "$status" != 77 ]; then lab_explain; fi
	pids=$(lab_pids)
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill $pids 2>/dev/null
	wait_until '[ -z "$(lab_pids)" ]' 2
	pids=$(lab_pids)
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
	for name in "${!LAB_PID[@]}"; do wait "${LAB_PID[$name]}" 2>/dev/null; done
	for name in $(lab_namespaces); do ip netns del "$name" 2>/dev/null; done
	if [ -n "${LAB_KEEP:-}" ]; then
		echo "kept: $LAB"
	else
		rm -rf "$LAB"
	fi
	exit "$status"
}

# What the daemons said last, when a test has failed.
lab_explain()
{
	local log
	for log in "$LAB"/*.log; do
		[ -s "$log" ] || continue
		printf '    -- %s\n' "$(basename "$log")"
		tail -n "${LAB_LINES:-12}" "$log" | cut -c 1-200 | sed 's/^/    /'
	done
}

# --- time -----------------------------------------------------------------------------------------

# Looks away for SECONDS, a fraction, between two looks at the same thing. Not `read -t`: bash may crash
# when a trap interrupts that.
nap() { sleep "$1"; }

# Seconds since boot, whatever the wall clock does; hundredths.
lab_uptime()
{
	local up
	read -r up _ </proc/uptime
	echo "${up/./}"
}

# wait_until CONDITION SECONDS: evaluates the shell text CONDITION every 20 ms until it succeeds.
wait_until()
{
	local end=$(($(lab_uptime) + ${2} * 100))
	while ! eval "$1" >/dev/null 2>&1; do
		[ "$(lab_uptime)" -lt "$end" ] || return 1
		nap 0.02
	done
}

# for_seconds SECONDS CONDITION: the condition holds all the time.
for_seconds()
{
	local end=$(($(lab_uptime) + ${1} * 100))
	while [ "$(lab_uptime)" -lt "$end" ]; do
		eval "$2" >/dev/null 2>&1 || return 1
		nap 0.1
	done
}

# Microseconds, to measure how long something takes.
now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# --- namespaces and processes ---------------------------------------------------------------------

# ns NAME: the full name of the namespace of host (or router) NAME.
ns() { echo "warp-$LAB_ID-$1"; }
# ip_in NAME ARGS...: ip(8) in the namespace of NAME; failing ends the test.
ip_in() { ip -n "$(ns "$1")" "${@:2}" || lab_die "ip ${*:2} (in $1)"; }
run_in() { nsenter --net="/run/netns/$(ns "$1")" -- "${@:2}"; }

namespace()
{
	local name
	name=$(ns "$1")
	# Written down first: the script may end in between.
	echo "$name" >>"$LAB/namespaces"
	ip netns add "$name" || lab_die "cannot make the namespace $name"
	ip_in "$1" link set dev lo up
	# Old values stay for names that this kernel does not have.
	run_in "$1" sh -c '
		cd /proc/sys/net
		for a in ipv4/conf/all ipv4/conf/default; do
			echo 0 >$a/rp_filter; echo 0 >$a/send_redirects; echo 0 >$a/accept_redirects
		done
		for a in ipv6/conf/all ipv6/conf/default; do
			echo 0 >$a/accept_dad; echo 0 >$a/dad_transmits; echo 0 >$a/accept_ra
			echo 0 >$a/router_solicitations
		done
		for a in bridge/bridge-nf-call-*; do [ ! -e $a ] || echo 0 >$a; done
		echo "0 2147483647" >ipv4/ping_group_range' 2>/dev/null
}

forwarding()
{
	run_in "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
}

# lab_urgent: what is spawned from now on goes before whatever else the machine does, if that can be had,
# and after wires only: a test of delays should not measure what else there is to do.
lab_urgent() { ! chrt --rr 1 true 2>/dev/null || LAB_URGENT=(chrt --rr 1); }
LAB_URGENT=()

# spawn HOST NAME COMMAND...: in the background; what it says goes to $LAB/NAME.log.
spawn()
{
	local host=$1 name=$2
	shift 2
	nsenter --net="/run/netns/$(ns "$host")" -- "${LAB_URGENT[@]}" "$@" >>"$LAB/$name.log" 2>&1 </dev/null &
	LAB_PID[$name]=$!
	lab_remember $!
}

# pid NAME; is it running?
pid() { echo "${LAB_PID[$1]}"; }
running() { kill -0 "${LAB_PID[$1]}" 2>/dev/null; }

# stop NAME [SIGNAL]: ends what was spawned as NAME and waits for it (5 s, then the hard way).
# Returns its exit status.
stop()
{
	local pid=${LAB_PID[$1]:-}
	[ -n "$pid" ] || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null
	[ "${2:-TERM}" = KILL ] || wait_until "! running $1" 5 || kill -KILL "$pid" 2>/dev/null
	unset "LAB_PID[$1]"
	# In braces: bash tells of a job's death on the standard error of whatever runs then.
	{ wait "$pid"; } 2>/dev/null
}

# await NAME SECONDS: until what was spawned as NAME has ended by itself. Returns its exit status,
# 124 when it did not end.
await()
{
	local pid=${LAB_PID[$1]}
	wait_until "! running $1" "$2" || return 124
	unset "LAB_PID[$1]"
	wait "$pid"
}

# listens HOST udp|tcp PORT
listens() { [ -n "$(run_in "$1" ss -Hln "--$2" "sport = :$3")" ]; }

# --- the topology ---------------------------------------------------------------------------------

host() { namespace "$1"; }

# One namespace that routes: every link to it is a network of its own, 11.N.0.0/24, 2001:db8:N::/64.
lab_internet()
{
	namespace internet
	forwarding internet
}

# cable NS1 DEV1 NS2 DEV2: a veth pair, up at both ends.
cable()
{
	ip_in "$1" link add name "$2" type veth peer name "$4" netns "$(ns "$3")"
	ip_in "$1" link set dev "$2" up
	ip_in "$3" link set dev "$4" up
}

# uplink HOST IFNAME [nat=KIND[,OPTION...]] [lan=HOST/IFNAME] [carrier=HOST/IFNAME] [family=4|6|46]
# [metric=N]: a link of HOST to the internet, through a router of its own if nat is anything but
# `none`; see lib/nat.sh.
uplink()
{
	local host=$1 dev=$2 nat=none lan='' carrier='' family=4 metric n=$((++LAB_NETS)) key=$1/$2 option
	metric=$((100 + n))
	for option in "${@:3}"; do
		case $option in
		nat=* | lan=* | carrier=* | family=* | metric=*) local "${option?}" ;;
		*) lab_die "uplink: what is $option?" ;;
		esac
	done
	METRIC[$key]=$metric
	if [ -n "$lan" ]; then
		nat_lan "$host" "$dev" "$lan"
	elif [ "$nat" = none ] || [ "$nat" = open ]; then
		cable "$host" "$dev" internet "l$n"
		FAR[$key]="internet l$n"
		ROUTER[$key]=
		ADDRESS[$key]=11.$n.0.2 GATEWAY[$key]=11.$n.0.1 PUBLIC[$key]=11.$n.0.2
		ADDRESS6[$key]=2001:db8:$n::2 GATEWAY6[$key]=2001:db8:$n::1
	else
		nat_uplink "$host" "$dev" "$n" "$nat" "$family" "$carrier"
	fi
	[[ $family == *4* ]] || ADDRESS[$key]='' GATEWAY[$key]=''
	[[ $family == *6* ]] || ADDRESS6[$key]='' GATEWAY6[$key]=''
	[ -n "$lan$carrier" ] || internet_end "$key" "$n" "$nat" "$family"
	addresses "$host" "$dev"
}

# internet_end KEY N NAT FAMILY: addresses of the internet's end of link N, routes to what is behind.
internet_end()
{
	case $4 in
	*4*) ip_in internet addr add "11.$2.0.1/24" dev "l$2" ;;
	esac
	case $4 in
	*6*) ip_in internet addr add "2001:db8:$2::1/64" dev "l$2" nodad ;;
	esac
	if [ "$(nat_kind "$3")" = firewall ] && [[ $4 == *4* ]]; then
		ip_in internet route add "11.$2.1.0/24" via "11.$2.0.2"
	fi
	if [ -n "${ROUTER[$1]}" ] && [[ $4 == *6* ]]; then
		ip_in internet -6 route add "2001:db8:$2:1::/64" via "2001:db8:$2::2"
	fi
}
declare -A METRIC=()

# addresses HOST IFNAME: gives the interface its addresses and default routes (again).
addresses()
{
	local key=$1/$2
	if [ -n "${ADDRESS[$key]}" ]; then
		ip_in "$1" addr replace "${ADDRESS[$key]}/24" dev "$2"
		ip_in "$1" route replace default via "${GATEWAY[$key]}" dev "$2" metric "${METRIC[$key]}"
	fi
	if [ -n "${ADDRESS6[$key]}" ]; then
		ip_in "$1" addr replace "${ADDRESS6[$key]}/64" dev "$2" nodad
		ip_in "$1" -6 route replace default via "${GATEWAY6[$key]}" dev "$2" \
			metric "${METRIC[$key]}"
	fi
}

# --- what happens to links ------------------------------------------------------------------------

# link_down / link_up HOST IFNAME: the cable is pulled and put back (carrier).
link_down()
{
	local far dev
	read -r far dev <<<"${FAR[$1/$2]}"
	ip_in "$far" link set dev "$dev" down
}

link_up()
{
	local host=$1 ifname=$2 far dev
	read -r far dev <<<"${FAR[$host/$ifname]}"
	ip_in "$far" link set dev "$dev" up
	# The far end has lost what hung on its being up.
	[ -z "${ADDRESS6[$host/$ifname]}" ] ||
		ip_in "$far" addr replace "${GATEWAY6[$host/$ifname]}/64" dev "$dev" nodad
}

# link_cut / link_mend HOST IFNAME: the link carries nothing, and nobody is told.
link_cut()
{
	link_rules "$1" "$2" 'meta l4proto udp update @up { ip daddr counter }
		counter name dropped drop' 'meta l4proto udp update @down { ip saddr counter }
		counter name dropped drop'
}
link_mend() { link_rules "$1" "$2" '' ''; }

# link_loss HOST IFNAME PERCENT: drops UDP at random in both directions; PERCENT may be a fraction.
# Datagrams are then cut apart before they enter the link, so that each has its own luck.
link_loss()
{
	local far dev per_mille rule
	read -r far dev <<<"${FAR[$1/$2]}"
	per_mille=$(awk -v p="$3" 'BEGIN { printf "%d", p * 10 }')
	rule="meta l4proto udp numgen random mod 1000 < $per_mille"
	ip_in "$1" link set dev "$2" gso_max_segs 1
	ip_in "$far" link set dev "$dev" gso_max_segs 1
	link_rules "$1" "$2" "$rule update @up { ip daddr counter } counter name dropped drop" \
		"$rule update @down { ip saddr counter } counter name dropped drop"
}

# link_rules HOST IFNAME UP DOWN: rules at the far end, for what comes from HOST and what goes to it.
# Counts what is dropped, in all and for each remote address, and UDP for each source address.
link_rules()
{
	local far dev
	read -r far dev <<<"${FAR[$1/$2]}"
	run_in "$far" nft -f - <<-END || lab_die "link_rules $*"
		table netdev link-$dev {
			counter dropped {}
			set from { type ipv4_addr; flags dynamic; size 1024; counter; }
			set up { type ipv4_addr; flags dynamic; size 1024; counter; }
			set down { type ipv4_addr; flags dynamic; size 1024; counter; }
			chain up { type filter hook ingress device "$dev" priority 0; }
			chain down { type filter hook egress device "$dev" priority 0; }
		}
		flush chain netdev link-$dev up
		flush chain netdev link-$dev down
		table netdev link-$dev {
			chain up {
				ether type arp accept
				icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
				meta l4proto udp update @from { ip saddr counter }
				$3
			}
			chain down {
				ether type arp accept
				icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
				$4
			}
		}
	END
}

# link_dropped HOST IFNAME [up|down REMOTE-ADDRESS]: packets dropped so far, in all or of one
# direction and remote address.
link_dropped()
{
	local far dev
	read -r far dev <<<"${FAR[$1/$2]}"
	if [ $# = 2 ]; then
		run_in "$far" nft -j list counters table netdev "link-$dev" 2>/dev/null |
			jq -s '[.[].nftables[].counter.packets // empty] | add // 0'
	else
		link_set "$far" "$dev" "$3" "$4"
	fi
}

# link_set NAMESPACE DEVICE SET [ADDRESS]
link_set()
{
	run_in "$1" nft -j list set netdev "link-$2" "$3" 2>/dev/null | jq -s --arg a "${4:-}" \
		'[.[].nftables[].set.elem[]?.elem | select($a == "" or .val == $a) | .counter.packets] | add // 0'
}

# has_carrier HOST IFNAME
has_carrier() { ip -n "$(ns "$1")" link show dev "$2" | grep -q LOWER_UP; }

# link_udp HOST IFNAME [ADDRESS]: UDP packets (from ADDRESS) that came out of HOST on this link since
# link_watch or another link_* function was first called for it, seen from outside.
link_watch() { link_mend "$1" "$2"; }
link_udp()
{
	local far dev
	read -r far dev <<<"${FAR[$1/$2]}"
	link_set "$far" "$dev" from "${3:-}"
}

# --- warp -----------------------------------------------------------------------------------------

warp() { "$WARP_BUILD/warp" "$@"; }

# private_key HOST, public_key HOST: made when first asked for.
private_key()
{
	if [ ! -s "$LAB/$1.key" ]; then
		(umask 077 && warp genkey >"$LAB/$1.key") || lab_die "warp genkey"
	fi
	echo "$LAB/$1.key"
}
public_key() { warp pubkey <"$(private_key "$1")"; }

# start_map [NAME]: warp-map on a public host of its own, IPv4 and IPv6. All later `conf`s use it.
start_map()
{
	local name=${1:-map}
	if [ ! -e "$LAB/$name.yaml" ]; then
		host "$name"
		uplink "$name" eth0 family=46
		cat >"$LAB/$name.yaml" <<-END
			private_key_file: $(private_key "$name")
			listen: ["${ADDRESS[$name/eth0]}:13116", "[${ADDRESS6[$name/eth0]}]:13116"]
		END
		LAB_MAP_KEY=$(public_key "$name")
		LAB_MAP="${ADDRESS[$name/eth0]}:13116"
		LAB_MAP6="[${ADDRESS6[$name/eth0]}]:13116"
		printf '%s map.example.net\n' "${ADDRESS[$name/eth0]}" "${ADDRESS6[$name/eth0]}" >"$LAB/hosts"
	fi
	spawn "$name" "$name" "$WARP_BUILD/warp-map" -c "$LAB/$name.yaml"
	wait_until "listens $name udp 13116" 5 || lab_die "warp-map does not listen"
}
LAB_MAP6=
LAB_MAP_NAME=map.example.net:13116

# far_gate PEER [LINE...]: one entry of `far_gate:`.
far_gate()
{
	printf '  - name: %s\n    public_key: %s\n' "$1" "$(public_key "$1")"
	[ $# = 1 ] || printf '    %s\n' "${@:2}"
}

# conf HOST <rest-of-the-configuration: writes $LAB/HOST.yaml.
# MAP=4|6|46|none chooses the address of the map (46: a name with both); INTERFACES has more lines of that section.
map_entry() { printf '  - address: "%s"\n    public_key: %s\n' "$1" "$LAB_MAP_KEY"; }
conf()
{
	{
		printf 'private_key_file: %s\ncontrol_socket: %s\n' "$(private_key "$1")" "$LAB/$1.sock"
		printf 'interfaces:\n'
		[[ ${INTERFACES:-} == *exclusion_patterns* ]] || printf '  exclusion_patterns: ["wg.*"]\n'
		[ -z "${INTERFACES:-}" ] || printf '  %s\n' "$INTERFACES"
		if [ -n "$LAB_MAP" ] && [ "${MAP:-4}" != none ]; then
			printf 'warp_map:\n'
			case ${MAP:-4} in
			4) map_entry "$LAB_MAP" ;;
			6) map_entry "$LAB_MAP6" ;;
			46) map_entry "$LAB_MAP_NAME" ;;
			esac
		fi
		cat
	} >"$LAB/$1.yaml"
}

# conf_direct HOST PEER [LINE]... <its tunnels: both listen at 51900, HOST knows all addresses of PEER there are, and
# looks for interfaces once a minute. INTERFACES as above; LINEs are more of the peer.
conf_direct()
{
	local host=$1 peer=$2 key endpoints=''
	for key in $(printf '%s\n' "${!ADDRESS[@]}" | grep "^$peer/" | sort); do
		endpoints+="${endpoints:+, }'${ADDRESS[$key]}:51900'"
	done
	{
		printf 'far_gate:\n'
		far_gate "$peer" "endpoints: [$endpoints]" "${@:3}"
		printf 'tunnels:\n'
		cat
	} | INTERFACES="listen_port: 51900
  interface_scan_interval: 60
${INTERFACES:-}" conf "$host"
}

# launch_warpd HOST: starts it; start_warpd HOST: and waits until it answers.
# It sees an /etc/hosts of its own, with map.example.net.
launch_warpd()
{
	touch "$LAB/hosts"
	spawn "$1" "$1" unshare --mount sh -c 'mount --bind "$1/hosts" /etc/hosts && exec "$2" -c "$3"' \
		sh "$LAB" "$WARP_BUILD/warpd" "$LAB/$1.yaml"
}
start_warpd()
{
	local host
	for host in "$@"; do launch_warpd "$host"; done
	for host in "$@"; do
		wait_until "status $host .uptime || ! running $host" 5
		running "$host" || lab_die "warpd of $host has ended"
		status "$host" .uptime >/dev/null || lab_die "warpd of $host does not answer"
	done
}

# status HOST [FILTER [JQ-ARGUMENTS]]: `warp status --json`, through jq.
status()
{
	local ends
	warp -s "$LAB/$1.sock" status --json 2>/dev/null | jq -r "${@:3}" "${2:-.}"
	ends=("${PIPESTATUS[@]}")
	# 2, 3: the filter is wrong; silence would pass for "it is not so". Of no input, jq says nothing and 0.
	case ${ends[1]} in
	0) return "${ends[0]}" ;;
	2 | 3) lab_die "status of $1: jq does not understand $2" ;;
	*) return 1 ;;
	esac
}
# status_is HOST FILTER [JQ-ARGUMENTS]: jq's result is true.
status_is() { status "$1" "$2" -e "${@:3}"; }

# connected HOST PEER [PATHS]: at least that many direct paths are live; without a number, any path.
connected()
{
	if [ -n "${3:-}" ]; then
		[ "$(live_paths "$1" "$2")" -ge "$3" ]
	else
		status_is "$1" '[.peers[] | select(.name == $p) | .paths[].state] | any(. == "live")' --arg p "$2"
	fi
}
# live_paths HOST PEER: how many direct paths are live; what the map forwards comes and goes with the map.
live_paths()
{
	status "$1" '[.peers[] | select(.name == $p) | .paths[] | select(.state == "live" and .origin != "relay")]
		| length' --arg p "$2"
}

# paths HOST: one line for each path, for people.
paths()
{
	status "$1" '.peers[] | .name as $p | .paths[] | [$p, .interface, .remote, .origin, .state,
		"tx \(.tx_sent)", "rx \(.rx_first)+\(.rx_duplicate)", "lost \(.rx_lost)"] | join("  ")'
}

# state_of HOST: of its status what should stay as it is while nothing happens: no counters, no ages.
state_of()
{
	status "$1" '{
		peers: [.peers[] | {name, state, cipher, registered: (.registered | sort), overrides: (.overrides | sort),
			paths: ([.paths[] | {interface, local, remote, origin, state}] | sort)}],
		maps: [.maps[] | {address, state}],
		interfaces: [.interfaces[] | {name, address, state, maps: [.maps[] | {map, registered, observed}]}]
	}' -cS
}

# --- two hosts, for tests that are not about NATs -------------------------------------------------

# two_hosts [UPLINK-OPTIONS]: A and B, eth0 and eth1 each, with public addresses if not told otherwise.
two_hosts()
{
	local end
	host A
	host B
	for end in A/eth0 A/eth1 B/eth0 B/eth1; do uplink "${end%/*}" "${end#*/}" "$@"; done
}

# conf_pair [TUNNEL-LINE...]: A (10.44.0.1, fd44::1) and B (10.44.0.2, fd44::2) know each other, have
# warp0, and a UDP gate `video`: 127.1.0.1:9000 in, 127.1.0.1:9001 out. Lines are added to `tunnels:`;
# %H in them is the host's name. FAR_GATE_A and FAR_GATE_B are added to what A and B say of the other,
# FAR_GATES_A has more peers of A.
conf_pair()
{
	pair_member A 1 B 2 "${FAR_GATE_A:-}" "${FAR_GATES_A:-}" "$@"
	pair_member B 2 A 1 "${FAR_GATE_B:-}" "" "$@"
}

pair_member()
{
	conf "$1" <<-END
		far_gate:
		$(far_gate "$3" "allowed_ips: [10.44.0.$4/32, 'fd44::$4/128']" ${5:+"$5"})
		$6
		tunnels:
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24, 'fd44::$2/64'] }
		  - name: video
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		$(printf '%s\n' "${@:7}" | sed "s/%H/$1/g")
	END
}

# --- numbered datagrams ---------------------------------------------------------------------------

# receive HOST NAME TARGET ARGS...: build/netns/numbers in the background, ready when this returns.
receive()
{
	: >"$LAB/$2.log"
	spawn "$1" "$2" "$WARP_BUILD/netns/numbers" receive "${@:3}"
	wait_until "grep -q ready $LAB/$2.log" 5 || lab_die "receiver $2 is not ready"
}

# send HOST TARGET ARGS...: in the foreground; prints its line of JSON.
send() { run_in "$1" "${LAB_URGENT[@]}" "$WARP_BUILD/netns/numbers" send "${@:2}"; }
# send_along HOST NAME TARGET ARGS...: in the background.
send_along()
{
	: >"$LAB/$2.log"
	spawn "$1" "$2" "$WARP_BUILD/netns/numbers" send "${@:3}"
}

# said NAME FILTER: of the line of JSON that the spawned NAME printed last.
said() { tail -n 1 "$LAB/$1.log" | jq -r "$2"; }
# all_once NAME: the receiver got each number, once, intact.
all_once() { said "$1" '.lost == 0 and .duplicated == 0 and .corrupt == 0' | grep -q true; }
# told NAME: what it says, in short, for failures.
told() { said "$1" '"lost \(.lost), twice \(.duplicated), corrupt \(.corrupt) of \(.unique + .lost)"'; }
