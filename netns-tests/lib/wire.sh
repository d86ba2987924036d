# shellcheck shell=bash
# Links that are as bad as they are told to be: a program (tools/wire.c) carries each frame between two
# TAP interfaces. Comes after lib/lab.sh; lab_begin then needs `tun`, `jq` and `netns/wire`.
#
#   host A; host B
#   wire_link A eth0 B eth0 "delay 20ms rate 100mbit"     # 11.N.0.1 and 11.N.0.2; ADDRESS, FAR are set
#   wire_set A eth0 "a-to-b loss 5%"                      # while it runs; what is not said stays
#   wire_set B eth0 both down
#   wire_stats A eth0 '."a-to-b".dropped.loss'
#   wire_cable A eth0 internet l1 "delay 20ms"            # without addresses, in place of lab.sh's cable
#
# A is the first that was named, whichever end a link is spoken of by. include/warp/impair_text.h tells
# what can be said. Options for the program are in WIRE_OPTIONS: `-p` (real-time priority) if not told
# otherwise, `-s SEED`, `-q PACKETS`.
# shellcheck disable=SC2034

WIRE_OPTIONS=${WIRE_OPTIONS--p}
declare -A ADDRESS ADDRESS6 FAR # lab.sh's, kept as they are
declare -A WIRE=() # HOST/IFNAME -> name of the process that carries it

# wire_cable NS1 DEV1 NS2 DEV2 [TEXT for both directions]: up at both ends.
wire_cable()
{
	local name=wire-$1-$2
	local say=(${5:+"both $5"})
	# shellcheck disable=SC2086
	spawn "$1" "$name" "$WARP_BUILD/netns/wire" join "/run/netns/$(ns "$1"):$2" \
		"/run/netns/$(ns "$3"):$4" -c "$LAB/$name.ctl" $WIRE_OPTIONS "${say[@]}"
	wait_until "grep -q ready $LAB/$name.log || ! running $name" 5
	grep -q ready "$LAB/$name.log" || lab_die "$(tail -n 1 "$LAB/$name.log")"
	WIRE[$1/$2]=$name
	WIRE[$3/$4]=$name
	# Its queue of frames that the program has not read yet, which should not be what is measured.
	ip_in "$1" link set dev "$2" txqueuelen 10000 up
	ip_in "$3" link set dev "$4" txqueuelen 10000 up
}

# wire_link HOST1 DEV1 HOST2 DEV2 [TEXT] [family=4|6|46]: and addresses. Neighbours are static, and
# without 6 in the family there is no IPv6: frames that nobody sent would throw dice.
wire_link()
{
	local n=$((++LAB_NETS)) family=${6:-family=4} i host dev key far
	[[ $family == *6* ]] || { wire_no_ipv6 "$1" && wire_no_ipv6 "$3"; }
	wire_cable "$1" "$2" "$3" "$4" "${5:-}"
	FAR[$1/$2]="$3 $4"
	FAR[$3/$4]="$1 $2"
	for i in 1 2; do
		if [ $i = 1 ]; then host=$1 dev=$2; else host=$3 dev=$4; fi
		key=$host/$dev far=$((3 - i))
		ip_in "$host" link set dev "$dev" address "02:00:00:00:$(printf %02x "$n"):0$i"
		if [[ $family == *4* ]]; then
			ADDRESS[$key]=11.$n.0.$i
			ip_in "$host" addr add "11.$n.0.$i/24" dev "$dev"
			wire_neighbour "$host" "$dev" "11.$n.0.$far" "$n" "$far"
		fi
		if [[ $family == *6* ]]; then
			ADDRESS6[$key]=2001:db8:$n::$i
			ip_in "$host" addr add "2001:db8:$n::$i/64" dev "$dev" nodad
			wire_neighbour "$host" "$dev" "2001:db8:$n::$far" "$n" "$far"
		fi
	done
}

wire_neighbour()
{
	ip_in "$1" neighbour replace "$3" dev "$2" nud permanent \
		lladdr "02:00:00:00:$(printf %02x "$4"):0$5"
}

# For interfaces to come.
wire_no_ipv6() { run_in "$1" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'; }

wire_tell() { "$WARP_BUILD/netns/wire" tell "$LAB/${WIRE[$1/$2]}.ctl" "${*:3}"; }
# wire_set HOST DEV COMMAND...: a mistake ends the test.
wire_set() { wire_tell "$@" || lab_die "wire_set $*"; }
# wire_stats HOST DEV [FILTER]: through jq.
wire_stats() { wire_tell "$1" "$2" stats | jq -r "${3:-.}"; }
# wire_quiet HOST DEV: nothing is under way.
wire_quiet() { [ "$(wire_stats "$1" "$2" '[.[].under_way] | add')" = 0 ]; }
