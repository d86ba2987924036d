#!/usr/bin/env bash
# What changes under a connection: mappings, addresses, time itself. Traffic is back within a second.
#
#    NAME-A eth0 -- router --+-- internet --+-- router -- eth0 NAME-B
#                            |
#                           map
#
# Each scenario has two hosts of its own, which send each other 500 numbered payloads a second while it
# happens. The gap is the longest time without an arrival, at the worse of both ends. What takes long (ten
# seconds of silence, twenty of idling) goes on beside the others.
# timeout: 240
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq conntrack ping warpd warp-map warp netns/numbers

RATE=500

# two NAME A-OPTIONS B-OPTIONS: hosts NAME-A and NAME-B with their links and daemons.
two()
{
	host "$1-A"
	host "$1-B"
	# shellcheck disable=SC2086
	{ uplink "$1-A" eth0 $2 && uplink "$1-B" eth0 $3; }
	pair_conf "$1-A" "$1-B"
	pair_conf "$1-B" "$1-A"
	start_warpd "$1-A" "$1-B"
}

directly() { pair_is_direct "$1-A" && pair_is_direct "$1-B"; }
related() { [ -n "$(pair_how "$1-A")" ] && [ -n "$(pair_how "$1-B")" ]; }
how() { echo "$(pair_how "$1-A")/$(pair_how "$1-B")"; }

# meet NAME: a direct path within 3 s of the daemons' start.
meet()
{
	check_soon "$1/connects" "directly $1" 3 "connected by '\$(how $1)'"
}

# flow NAME COUNT: payloads 0 to COUNT-1 begin to go both ways. flowing NAME: some have come.
flow() { listen "$@" && talk "$@"; }
listen()
{
	local end
	for end in A B; do receive "$1-$end" "$1-at-$end" udp:127.1.0.1:9001 -n "$2" -i 60000 -w 60000; done
}
talk()
{
	local end
	for end in A B; do send_along "$1-$end" "$1-from-$end" udp:127.1.0.1:9000 -n "$2" -r $RATE; done
}
flowing()
{
	local end
	for end in A B; do
		wait_until "[ \$(status $1-$end '.tunnels[0].rx_payloads') -gt 100 ]" 5
	done
}

# gap NAME-at-END COUNT: the longest silence, before the first arrival, between two or after the last.
gap()
{
	said "$1" "[.first * 1000 / $RATE, .longest_gap_ms,
		(if .unique == 0 then $2 else $2 - 1 - .last end) * 1000 / $RATE] | max | floor"
}

# flowed NAME COUNT [WHEN]: of what was begun with flow.
flowed()
{
	local name=$1${3:+/$3} end gap worst=0 twice=0
	for end in A B; do await "$1-from-$end" 30; done
	# What is under way; who waits for more says so.
	nap 0.2
	for end in A B; do
		stop "$1-at-$end"
		gap=$(gap "$1-at-$end" "$2")
		[ "$gap" -le "$worst" ] || worst=$gap
		twice=$((twice + $(said "$1-at-$end" .duplicated)))
	done
	record roaming "$name-gap" "$worst" ms '< 1000'
	check "$name/traffic_in_1_s" "the gap was $worst ms; connected by '$(how "$1")'" [ "$worst" -lt 1000 ]
	check "$name/nothing_twice" "$twice payloads came twice" [ "$twice" = 0 ]
}

# scenario NAME A-OPTIONS B-OPTIONS COMMAND...: the command runs a fifth of a second into the traffic.
scenario()
{
	local name=$1
	two "$1" "$2" "$3"
	meet "$name"
	flow "$name" $((RATE * 4))
	flowing "$name"
	"${@:4}"
	flowed "$name" $((RATE * 4))
	check_soon "$name/direct_again" "directly $name" 5 "connected by '\$(how $name)'"
	leave "$name"
}

leave()
{
	stop "$1-A"
	stop "$1-B"
}

lab_internet
pairs_map

# --- begun now, judged at the end: idling behind NATs that forget in 5 s, and a machine that sleeps

two idle nat=port-restricted,short nat=port-restricted,short
meet idle
idle_until=$(($(lab_uptime) + 2000))
two sleep nat=port-restricted nat=port-restricted
meet sleep
two sleep-short nat=port-restricted,short,other-ports nat=port-restricted,short,other-ports
meet sleep-short
for name in sleep sleep-short; do flow $name $RATE; done
for name in sleep sleep-short; do
	flowed $name $RATE awake
	kill -STOP "$(pid $name-A)" "$(pid $name-B)"
done
asleep=$(lab_uptime)

# --- mappings are lost, addresses change

scenario rebind nat=port-restricted nat=port-restricted nat_rebind rebind-A eth0
scenario rebind-to-cone nat=port-restricted nat=full-cone nat_rebind rebind-to-cone-A eth0

# While nobody says anything: the first payload after it is late, not lost with all that follow.
two rebind-idle nat=port-restricted nat=port-restricted
meet rebind-idle
listen rebind-idle $((RATE * 2))
nat_rebind rebind-idle-A eth0
talk rebind-idle $((RATE * 2))
flowed rebind-idle $((RATE * 2))
leave rebind-idle

# Two hosts on one LAN need no NAT; what becomes of it is nothing to them.
two lan nat=port-restricted lan=lan-A/eth0
meet lan
check_soon lan/over_the_lan '[ "$(how lan)" = lan/lan ]' 3 "connected by '\$(how lan)'"
flow lan $((RATE * 2))
flowing lan
nat_rebind lan-A eth0
flowed lan $((RATE * 2))
leave lan

# --- the sleepers wake

wait_until "[ \$(lab_uptime) -ge $((asleep + 1200)) ]" 13
for name in sleep sleep-short; do
	listen $name $((RATE * 2))
	kill -CONT "$(pid $name-A)" "$(pid $name-B)"
	talk $name $((RATE * 2))
	flowed $name $((RATE * 2)) awakened
	check_soon $name/direct_again "directly $name" 5 "connected by '\$(how $name)'"
	leave $name
done

scenario renumber nat=port-restricted nat=port-restricted nat_renumber renumber-A eth0

# host_renumber HOST: another address on the same link.
host_renumber()
{
	ip_in "$1" addr flush dev eth0
	ADDRESS[$1/eth0]=${ADDRESS[$1/eth0]%.*}.77
	addresses "$1" eth0
}
scenario host-address nat=port-restricted nat=port-restricted host_renumber host-address-A
scenario host-address-open nat=open nat=port-restricted host_renumber host-address-open-A

# --- carriers

scenario cgnat nat=cgnat nat=port-restricted nat_rebind cgnat-A eth0
two same-carrier nat=cgnat,hairpin 'nat=port-restricted carrier=same-carrier-A/eth0'
meet same-carrier
leave same-carrier

# --- those that idled: one payload each way, at once

wait_until "[ \$(lab_uptime) -ge $idle_until ]" 21
for end in A B; do
	receive idle-$end idle-at-$end udp:127.1.0.1:9001 -n 1 -i 500 -w 3000
done
for end in A B; do send idle-$end udp:127.1.0.1:9000 -n 1 >/dev/null; done
for end in A B; do
	await idle-at-$end 5
	took=$(said idle-at-$end 'if .unique == 1 then .delay_us.max / 1000 else -1 end')
	record roaming idle-first-payload-at-$end "$took" ms '< 1000'
	check idle/payload_arrives_at_$end "connected by '$(how idle)'" compare "$took" '>=' 0
done
lab_end
