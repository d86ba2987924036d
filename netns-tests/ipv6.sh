#!/usr/bin/env bash
# IPv6 is equal: the demonstration over IPv6 links, each family inside the other, hosts with both.
#
#    A eth0 (IPv6) -- firewall --+            +-- firewall -- eth0 (IPv6) B       six: IPv6 links only
#                                +- internet -+
#    C eth0 (IPv4) --------------+     |      +-------------- eth0 (IPv4) D       four: IPv4 links only
#    E eth0, eth1 (both) --------+    map     +-------- eth0, eth1 (both) F       both
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping warpd warp-map warp

demo=$(cd "$(dirname "$0")" && pwd)/demo.sh
"$demo" --family 6 >"$LAB/demo.out" 2>&1
status=$?
check demo_over_ipv6 "exit status $status" [ $status = 0 ]
[ $status = 0 ] || sed 's/^/    /' "$LAB/demo.out"

lab_internet
for name in A B C D E F; do host $name; done
uplink A eth0 nat=firewall family=6
uplink B eth0 nat=firewall family=6
uplink C eth0 family=4
uplink D eth0 family=4
for name in E F; do
	uplink $name eth0 family=46
	uplink $name eth1 family=46
done
start_map

# pair ONE OTHER MAP-FAMILY: both have warp0 with both families inside.
pair()
{
	local one=$1 other=$2 number=1
	for _ in 1 2; do
		MAP=$3 conf "$one" <<-END
			far_gate:
			$(far_gate "$other" "allowed_ips: [10.44.0.$((3 - number))/32, 'fd44::$((3 - number))/128']")
			tunnels: [{ name: net, gate: { tun: warp0, address: [10.44.0.$number/24, 'fd44::$number/64'] } }]
		END
		one=$2 other=$1 number=2
	done
	start_warpd "$1" "$2"
}

# inside NAME HOST: both families pass through the tunnel.
inside()
{
	check "ipv4_inside_$1" "no answer" run_in "$2" ping -c 3 -i 0.1 -W 1 -q 10.44.0.2
	check "ipv6_inside_$1" "no answer" run_in "$2" ping -c 3 -i 0.1 -W 1 -q fd44::2
	check "full_size_inside_$1" "no answer to 1400 bytes" run_in "$2" ping -c 2 -i 0.1 -W 1 -q -s 1400 fd44::2
}

pair A B 6
check ipv6_links/connect "not in 5 s" wait_until 'connected A B && connected B A' 5
inside ipv6 A
pair C D 4
check ipv4_links/connect "not in 5 s" wait_until 'connected C D && connected D C' 5
inside ipv4 C
for name in A B C D; do stop $name; done

# Two links with two families at both ends: 2 x 2 paths of each family.
pair E F 46
check both/connect "$(live_paths E F) of 8 paths" wait_until 'connected E F 8 && connected F E 8' 5
# What leads through the map is besides.
check both/families "not four of each" wait_until "status_is E '
	[.peers[].paths[] | select(.state == \"live\" and .origin != \"relay\")]
	| length == 8 and (map(select(.remote | startswith(\"[\"))) | length == 4)'" 5
inside both E
map_stays() { ! grep -q 'does not answer' "$LAB/E.log" "$LAB/F.log"; }
check both/map_stays "it is said not to answer" map_stays
# One family fails on the way: the other goes on.
run_in internet nft add table ip gone
run_in internet nft 'add chain ip gone drops { type filter hook forward priority 0; policy drop; }'
check both/without_ipv4 "pings are lost" \
	sh -c '"$@" | grep -q " 0% packet loss"' sh nsenter --net="/run/netns/$(ns E)" ping -c 20 -i 0.05 -W 1 -q 10.44.0.2

# A map with an IPv4 address only serves hosts that have both: over the interfaces that reach it.
stop E
stop F
run_in internet nft delete table ip gone
rm "$LAB/E.log" "$LAB/F.log"
pair E F 4
check map_of_one_family/connect "not in 5 s" wait_until 'connected E F 4 && connected F E 4' 5
check map_of_one_family/stays "it is said not to answer" for_seconds 3 map_stays
lab_end
