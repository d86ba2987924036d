#!/usr/bin/env bash
# Whatever goes into warp0 comes out of it, with large packets between the kernel and warpd and without.
#
#    A eth0 --- internet --- eth0 B           warp0 on both; one path
#    A k0 ----------------------------- k1 C  what the kernel alone makes of the packets that A sends,
#                                 B c0 - c1 C  and what became of them over warp0, forwarded by B
# alone: it compares throughput
# timeout: 240
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ethtool socat sha256sum warpd warp-map warp netns/bursts netns/twoways

STREAM_BYTES=100000000
DATAGRAMS=2000
PACKETS=6000

lab_internet
host A
host B
host C
uplink A eth0
uplink B eth0
cable A k0 C k1
cable B c0 C c1

ip_in B addr add 10.45.0.1/24 dev c0
ip_in B addr add fd45::1/64 dev c0 nodad
mac=$(ip -j -n "$(ns C)" link show dev c1 | jq -r '.[0].address')
ip_in B neigh replace 10.45.0.2 lladdr "$mac" nud permanent dev c0
ip_in B neigh replace fd45::2 lladdr "$mac" nud permanent dev c0
forwarding B
for end in A/k0 B/c0; do
	run_in "${end%/*}" ethtool -K "${end#*/}" tso off gso off gro off tx off sg off >/dev/null
done
head -c "$STREAM_BYTES" /dev/urandom >"$LAB/data"
SUM=$(sha256sum <"$LAB/data")

# --- the daemons

# member HOST NUMBER PEER PEER-NUMBER OFFLOAD TUN-MTU
member()
{
	INTERFACES=$'exclusion_patterns: ["[ck].*"]\n  listen_port: 51900' MAP=none conf "$1" <<-END
		offload: $5
		far_gate:
		$(far_gate "$3" "endpoints: ['${ADDRESS[$3/eth0]}:51900']" \
			"allowed_ips: [10.44.0.$4/32, 'fd44::$4/128', 10.45.0.0/24, 'fd45::/64']")
		tunnels:
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24, 'fd44::$2/64'], mtu: $6 }
	END
}

link_mtu()
{
	local end far dev
	for end in A/eth0 B/eth0; do
		read -r far dev <<<"${FAR[$end]}"
		ip_in "$far" link set dev "$dev" mtu "$1"
		ip_in "${end%/*}" link set dev "${end#*/}" mtu "$1"
	done
	for end in A/k0 C/k1 B/c0 C/c1; do ip_in "${end%/*}" link set dev "${end#*/}" mtu "$1"; done
}

tun_mtu() { ip -j -n "$(ns "$1")" link show dev warp0 | jq '.[0].mtu'; }
# counted HOST DEVICE rx|tx: packets so far, as large as they were.
counted() { ip -j -s -n "$(ns "$1")" link show dev "$2" | jq ".[0].stats64.$3.packets"; }

# begin OFFLOAD-A OFFLOAD-B LINK-MTU TUN-MTU
begin()
{
	link_mtu "$3"
	member A 1 B 2 "$1" "$4"
	member B 2 A 1 "$2" "$4"
	start_warpd A B
	wait_until "connected A B && connected B A" 5 || lab_die "no path in 5 s"
	if [ "$4" = auto ]; then
		wait_until "[ \$(tun_mtu A) -gt $(($3 - 100)) ] && [ \$(tun_mtu B) -gt $(($3 - 100)) ]" 10 ||
			lab_die "the MTU of warp0 stays at $(tun_mtu A), $(tun_mtu B)"
	fi
	# Senders do not wait for a daemon that has to wait for a processor.
	ip_in A link set dev warp0 txqueuelen 5000
	ip_in B link set dev warp0 txqueuelen 5000
}

end()
{
	stop A
	stop B
}

# --- streams

# sink HOST NAME SOCAT-ADDRESS PORT: writes the checksum of what comes.
sink()
{
	: >"$LAB/$2.log"
	spawn "$1" "$2" sh -c 'socat -u -b 65536 "$1" - | sha256sum' sh "$3"
	wait_until "listens $1 tcp $4" 5 || lab_die "sink $2 does not listen"
}

# streams NAME A B TCP4|TCP6: one in each direction, at the same time.
streams()
{
	sink A "$1-a" "$4-LISTEN:7001,bind=$2" 7001
	sink B "$1-b" "$4-LISTEN:7002,bind=$3" 7002
	spawn A "$1-to-b" socat -u -b 50001 "FILE:$LAB/data" "$4:$3:7002"
	spawn B "$1-to-a" socat -u -b 50001 "FILE:$LAB/data" "$4:$2:7001"
	await "$1-a" 40
	await "$1-b" 40
	check "$1/to_a" "$(tail -n 1 "$LAB/$1-a.log")" [ "$(cat "$LAB/$1-a.log")" = "$SUM" ]
	check "$1/to_b" "$(tail -n 1 "$LAB/$1-b.log")" [ "$(cat "$LAB/$1-b.log")" = "$SUM" ]
	stop "$1-to-a"
	stop "$1-to-b"
}

# --- datagrams

# says NAME FILTER: what the spawned NAME has said last is so.
says() { said "$1" "$2" | grep -q true; }

# burst NAME HOST ADDRESS SENDER-OPTIONS...: from the other host to this one.
burst()
{
	local name=$1 to=$2 from=A address=$3
	[ "$to" = B ] || from=B
	: >"$LAB/$name.log"
	spawn "$to" "$name" "$WARP_BUILD/netns/bursts" receive "$address" 7003 -n $DATAGRAMS
	wait_until "grep -q ready $LAB/$name.log" 5 || lab_die "the receiver of $name is not ready"
	run_in "$from" "$WARP_BUILD/netns/bursts" send "$address" 7003 -n $DATAGRAMS "${@:4}" \
		>>"$LAB/$name.log" 2>&1
	await "$name" 40
}
# datagrams: the same, judged. Nothing slows the sender down, and while a daemon waits for a processor queues
# overflow: what is lost, and nothing else, is tried again, three times in all.
datagrams()
{
	for _ in 1 2 3; do
		burst "$@"
		says "$1" '.lost > 0 and .duplicated == 0 and .late == 0 and .corrupt == 0' || break
		repeated=true
	done
	check "$1" "$(tail -n 1 "$LAB/$1.log")" \
		says "$1" '.lost == 0 and .duplicated == 0 and .late == 0 and .corrupt == 0'
}

# all_datagrams NAME
all_datagrams()
{
	local address room host
	for address in 10.44.0.2 10.44.0.1 fd44::2 fd44::1; do
		host=A
		[[ $address != *2 ]] || host=B
		room=$(($(tun_mtu A) - 28))
		[[ $address != *:* ]] || room=$((room - 20))
		datagrams "$1/bursts/$address" $host $address -g -s "$room"
		datagrams "$1/small_bursts/$address" $host $address -g -s 61
		datagrams "$1/single/$address" $host $address -s "$room"
		datagrams "$1/unsummed/$address" $host $address -z -s "$room"
		datagrams "$1/more_headers/$address" $host $address -o -s $((room - 8))
		datagrams "$1/bursts_with_more_headers/$address" $host $address -g -o -s $((room - 8))
		datagrams "$1/fragments/$address" $host $address -s $((room * 4))
	done
}

# --- packets of all kinds

# packets NAME LARGE: are large packets expected between kernel and warpd?
packets()
{
	local before_a before_b before_c a b c seed=$RANDOM
	before_a=$(counted A warp0 tx) before_b=$(counted B warp0 rx) before_c=$(counted C c1 rx)
	: >"$LAB/$1.log"
	spawn A "$1" "$WARP_BUILD/netns/twoways" -n $PACKETS -m "$(tun_mtu A)" -s $seed \
		"/run/netns/$(ns A)" k0 warp0 "/run/netns/$(ns C)" k1 c1
	await "$1" 60
	check "$1" "seed $seed: $(cat "$LAB/$1.log")" \
		says "$1" ".lost == 0 and .different == 0 and .came > $PACKETS"
	a=$(($(counted A warp0 tx) - before_a)) b=$(($(counted B warp0 rx) - before_b))
	c=$(($(counted C c1 rx) - before_c))
	if [ "$2" = true ]; then
		check "$1/came_whole" "$a packets were read for $c" [ $((a * 4)) -lt $((c * 3)) ]
		check "$1/went_joined" "$b packets were written for $c" [ $((b * 10)) -lt $((c * 9)) ]
	else
		check "$1/came_cut" "$a packets were read for $c" [ "$a" -ge "$c" ]
		check "$1/went_alone" "$b packets were written for $c" [ "$b" -ge "$c" ]
	fi
}

# What the kernel says to nobody in particular (multicast) has no peer.
dropped() { status "$1" '.tunnels[0].drops | del(.no_peer)' -c; }

# all NAME LARGE
all()
{
	mkdir -p "$LAB/$1"/{bursts,small_bursts,single,unsummed,more_headers,bursts_with_more_headers,fragments}
	repeated=false
	packets "$1/packets" "$2"
	streams "$1/tcp4" 10.44.0.1 10.44.0.2 TCP4
	streams "$1/tcp6" '[fd44::1]' '[fd44::2]' TCP6
	all_datagrams "$1"
	$repeated || check "$1/drops_nothing" "$(dropped A) $(dropped B)" [ "$(dropped A)$(dropped B)" = '{}{}' ]
}

begin true true 1500 auto
all with true
end
begin false false 1500 auto
all without false
end
begin true true 9000 auto
all jumbo true
end
# The TUN is wider than what one datagram carries: each packet of full size becomes two.
begin true true 9000 9000
all jumbo_fragmented true
end
lab_end
