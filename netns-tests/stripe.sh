#!/usr/bin/env bash
# A tunnel that stripes: TCP through warp0 gets what both links carry together, even or not, also when one
# loses 1 %; a ping beside it stays quick; a link that fails is left at once, and taken again.
#
#    A eth0 -- wire -- eth0 B
#    A eth1 -- wire -- eth1 B
#
# Shares are of the wires' nominal rate, headers of all layers included: plain TCP gets 95.6 Mbit/s of 100 (the column
# `carried`). warp0 has an MTU of seven datagrams, STRIPE_MTU: with one ("auto") 5 % are warp's own headers.
# MPTCP is the kernel's, with a subflow over each wire. All are measured in turn over the
# same wires. What is judged has room for a machine that does other things as well, and what is too
# slow is tried again.
# alone: it measures
# timeout: 180
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
# shellcheck source=netns-tests/lib/stripe.sh
. "$(dirname "$0")/lib/stripe.sh"
lab_begin tun jq iperf3 ping netns/wire netns/numbers netns/mptcp.so warpd warp
lab_urgent

SECONDS_EACH=${SECONDS_EACH:-4} STRIPE_MTU=${STRIPE_MTU:-9947}
stripe_begin
stripe_mptcp_begin || skip mptcp "this kernel has no MPTCP"
stripe_forget

calc() { awk "BEGIN { printf \"%.3f\", $1 }"; }
TABLE=()

# measure NAME NOMINAL LEAST GOAL LINK0 LINK1 [ADDRESS]: nominal Mbit/s of both; least is the share of it that is judged.
# ADDRESS: of B, through another tunnel than warp0; then MPTCP is not measured again.
# Leaves WARP and MPTCP, Mbit/s, of the best of three rounds, or the first that is good enough.
measure()
{
	local name=$1 carried share best=-1 warp mptcp=0 _
	carried=$(calc "$CARRIED * $2")
	stripe_links "$5" "$6"
	for _ in 1 2 3; do
		warp=$(calc "$(stripe_tcp "$SECONDS_EACH" "${7:-10.44.0.2}") + 0")
		[ -z "$STRIPE_MPTCP" ] || [ -n "${7:-}" ] || mptcp=$(calc "$(stripe_mptcp "$SECONDS_EACH") + 0")
		share=$(calc "$warp / $2")
		printf '%s: warp %s, MPTCP %s of %s Mbit/s\n' "$name" "$warp" "$mptcp" "$carried"
		! compare "$share" '>' "$best" || { best=$share WARP=$warp MPTCP=$mptcp; }
		! compare "$best" '>=' "$4" || break
	done
	stripe_row "stripe_${name}_efficiency" "$best" share ">= $4"
	stripe_row "stripe_${name}_mbps" "$WARP" Mbit/s ''
	[ "$MPTCP" = 0 ] || stripe_row "mptcp_${name}_mbps" "$MPTCP" Mbit/s ''
	TABLE+=("$(printf '%-12s %8s %10s %8s %8s %8s' "$name" "$2" "$carried" "$WARP" "$best" "$MPTCP")")
	check "$name" "$WARP of $carried Mbit/s" compare "$best" '>=' "$3"
}

# --- what both carry together ---
EVEN='delay 10ms rate 100mbit'
stripe_links "$EVEN" "$EVEN"
read -r r0 r1 < <(stripe_raw 2)
CARRIED=$(calc "($r0 + $r1) / 200")
record raw even_links "$(calc "$r0 + $r1")" Mbit/s ''
idle=$(stripe_ping 1)
stripe_ping "$SECONDS_EACH" >"$LAB/ping" &
pinging=$!
measure even 200 0.6 0.9 "$EVEN" "$EVEN"
wait $pinging
added=$(calc "$(cat "$LAB/ping") - $idle")
stripe_row loaded_ping_added_ms "$added" ms '<= 20'
check loaded_ping "$added ms more than $idle ms" compare "$added" '<=' 40
[ "$MPTCP" = 0 ] || stripe_row stripe_vs_mptcp "$(calc "$WARP / $MPTCP")" ratio ''

measure uneven 130 0.5 0.85 'delay 5ms rate 100mbit' 'delay 30ms rate 30mbit'
over=$(calc "$WARP / ($CARRIED * 100)")
stripe_row stripe_uneven_over_best "$over" ratio '>= 0.95'
check uneven/not_below_the_better_one "$over" compare "$over" '>=' 0.6
[ "$MPTCP" = 0 ] || stripe_row stripe_uneven_vs_mptcp "$(calc "$WARP / $MPTCP")" ratio ''

# The same with warp1, through which BBR is content with the better link unless it is shown that there is more.
measure uneven_plain 130 0.5 0.78 'delay 5ms rate 100mbit' 'delay 30ms rate 30mbit' 10.45.0.2

measure lossy 200 0.4 0.7 "$EVEN" "$EVEN loss 1%"
[ "$MPTCP" = 0 ] || stripe_row stripe_lossy_vs_mptcp "$(calc "$WARP / $MPTCP")" ratio ''

printf '%-12s %8s %10s %8s %8s %8s\n' links nominal carried warp share mptcp
printf '%s\n' "${TABLE[@]}"

# --- a link that fails ---
# Under a steady flow of 12 Mbit/s, which both links take part in, for as long as it takes to know that they
# have become slow.
stripe_links 'delay 10ms rate 8mbit' 'delay 10ms rate 8mbit'
wait_until '[ "$(stripe_uses eth0)" = true ]' 5
receive B flow udp:127.1.0.1:9001 -n 6000 -i 1500
send_along A sender udp:127.1.0.1:9000 -n 6000 -r 1250 -s 1000
wait_until "status_is A '[.peers[0].paths[] | .stripe.capacity_bps // 0] | add | . > 9000000 and . < 20000000'" 3
wire_set A eth0 both down
left=$(ms_until '[ "$(stripe_uses eth0)" = false ]' 3)
nap 0.5
wire_set A eth0 both up
taken=$(ms_until '[ "$(stripe_uses eth0)" = true ]' 5)
await sender 15
await flow 15 || lab_die "the receiver has not ended"
printf 'black hole: left after %s ms, taken again after %s ms; %s\n' "$left" "$taken" "$(told flow)"
stripe_row stripe_blackhole_demote_ms "$left" ms '<= 300'
stripe_row stripe_recover_ms "$taken" ms '<= 1000'
check blackhole/left "$left ms" compare "$left" '<=' 900
check blackhole/taken_again "$taken ms" compare "$taken" '<=' 3000
check blackhole/nothing_twice "$(told flow)" [ "$(said flow '.duplicated + .corrupt')" = 0 ]
lab_end
