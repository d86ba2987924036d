#!/usr/bin/env bash
# A tunnel that stripes: TCP through warp0 gets what both links carry together, even or not, also when one
# loses 1 %; a ping beside it stays quick; a link that fails is left at once, and taken again.
#
#    A eth0 -- wire -- eth0 B
#    A eth1 -- wire -- eth1 B
#
# Efficiency is against the sum of what plain TCP gets over each of the two links at the same time, which
# is 95.6 Mbit/s of 100; 4.4 % more are warp's own headers. What is judged has room for a machine
# that does other things as well, and what is too slow is tried again.
# alone: it measures
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
# shellcheck source=netns-tests/lib/stripe.sh
. "$(dirname "$0")/lib/stripe.sh"
lab_begin tun jq iperf3 ping netns/wire netns/numbers warpd warp

stripe_begin
stripe_forget

# measure NAME NOMINAL LEAST LINK0 LINK1: least is what is judged, a share.
measure()
{
	local name=$1 nominal=$2 least=$3 raw got best=0
	stripe_links "$4" "$5"
	for _ in 1 2 3; do
		got=$(stripe_tcp 4)
		best=$(awk -v a="$best" -v b="$got" 'BEGIN { print (a > b ? a : b) }')
		! compare "$best" '>=' "$(awk -v n="$nominal" -v l="$least" 'BEGIN { print n * l }')" || break
	done
	raw=${RAW:-$nominal}
	stripe_row "stripe_${name}_efficiency" "$(awk -v a="$best" -v n="$raw" 'BEGIN { printf "%.3f", a / n }')" \
		share "$6"
	stripe_row "stripe_${name}_mbps" "$best" Mbit/s ''
	check "$name" "$best of $nominal Mbit/s" compare "$best" '>=' \
		"$(awk -v n="$nominal" -v l="$least" 'BEGIN { print n * l }')"
}

# --- what both carry together ---
stripe_links 'delay 10ms rate 100mbit' 'delay 10ms rate 100mbit'
read -r r0 r1 < <(stripe_raw 2)
RAW=$(awk -v a="$r0" -v b="$r1" 'BEGIN { print a + b }')
record raw even_links "$RAW" Mbit/s ''
idle=$(stripe_ping 1)
: >"$LAB/ping"
stripe_ping 5 >"$LAB/ping" &
pinging=$!
measure even 200 0.6 'delay 10ms rate 100mbit' 'delay 10ms rate 100mbit' '>= 0.9'
wait $pinging
added=$(awk -v a="$(cat "$LAB/ping")" -v b="$idle" 'BEGIN { printf "%.1f", a - b }')
stripe_row loaded_ping_added_ms "$added" ms '<= 20'
check loaded_ping "$added ms more than $idle ms" compare "$added" '<=' 40

RAW=$(awk -v r="$RAW" 'BEGIN { print r * 130 / 200 }')
measure uneven 130 0.5 'delay 5ms rate 100mbit' 'delay 30ms rate 30mbit' '>= 0.85'
RAW=$(awk -v r="$RAW" 'BEGIN { print r * 200 / 130 }')
measure lossy 200 0.4 'delay 10ms rate 100mbit' 'delay 10ms rate 100mbit loss 1%' '>= 0.7'

# --- a link that fails ---
# fails NAME TEXT: under a steady flow of 12 Mbit/s, which both links take part in.
fails()
{
	local demote recover
	stripe_links 'delay 10ms rate 8mbit' 'delay 10ms rate 8mbit'
	wait_until '[ "$(stripe_uses eth0)" = true ]' 5
	receive B "$1" udp:127.1.0.1:9001 -n 6000 -i 1500
	send_along A "$1-sent" udp:127.1.0.1:9000 -n 6000 -r 1250 -s 1000
	wait_until "status_is A '[.peers[0].paths[] | .stripe.capacity_bps // 0] | add > 9000000'" 3
	wire_set A eth0 both "$2"
	demote=$(ms_until '[ "$(stripe_uses eth0)" = false ]' 3)
	nap 0.5
	wire_set A eth0 both none
	wire_set A eth0 both 'delay 10ms rate 8mbit'
	recover=$(ms_until '[ "$(stripe_uses eth0)" = true ]' 5)
	await "$1-sent" 15
	await "$1" 15 || lab_die "the receiver of $1 has not ended"
	DEMOTE=$demote RECOVER=$recover
	record "$1" demote_ms "$demote" ms '<= 300'
	record "$1" recover_ms "$recover" ms '<= 1000'
	record "$1" lost "$(said "$1" .lost)" payloads ''
	record "$1" longest_gap "$(said "$1" '.gap_us.max // .longest_gap_us // 0')" us ''
	check "$1/left" "$demote ms" compare "$demote" '<=' 900
	check "$1/taken_again" "$recover ms" compare "$recover" '<=' 3000
	check "$1/nothing_twice" "$(told "$1")" [ "$(said "$1" '.duplicated + .corrupt')" = 0 ]
}
fails blackhole down
stripe_row blackhole_demote_ms "$DEMOTE" ms '<= 300'
stripe_row recover_ms "$RECOVER" ms '<= 1000'
lab_end
