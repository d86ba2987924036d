#!/usr/bin/env bash
# The cable that is as bad as it is told to be (tools/wire.c) is neither better nor worse: delay, loss,
# bursts, rate, queue, order, copies, spoiled frames, each direction by itself, while it runs.
#
#    A eth0 -- wire -- eth0 B
#
# Chance has five standard deviations of room. What is about time is tried up to three times, as others may
# hold this machine for a while.
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq ping netns/wire netns/numbers netns/blast

host A
host B
wire_link A eth0 B eth0 '' family=46
A=${ADDRESS[A/eth0]} B=${ADDRESS[B/eth0]}

# impair TEXT: what A sends has nothing but this; what B sends has nothing.
impair()
{
	wire_set A eth0 both none
	wire_set A eth0 "a-to-b $1"
	wire_set A eth0 reset
}

# As promptly as the wire itself, where that is allowed.
prompt=$(chrt -f 1 true 2>/dev/null && echo "chrt -f 1")

# flow NAME COUNT RATE [SIZE]: numbered datagrams from A to B.
flow()
{
	: >"$LAB/$1.log"
	# shellcheck disable=SC2086
	spawn B "$1" $prompt "$WARP_BUILD/netns/numbers" receive "udp:$B:9000" -n "$2" -i 500 \
		-m "$LAB/$1.missing"
	wait_until "grep -q ready $LAB/$1.log" 5 || lab_die "the receiver of $1 is not ready"
	wire_set A eth0 reset
	# shellcheck disable=SC2086
	run_in A $prompt "$WARP_BUILD/netns/numbers" send "udp:$B:9000" -n "$2" -r "$3" \
		-s "${4:-200}" >"$LAB/$1.sent"
	await "$1" 10 || lab_die "the receiver of $1 has not ended"
}

within() { compare "$1" '>=' "$2" && compare "$1" '<=' "$3"; }

# timed QUANTILE LEAST MOST FLOW...: the flow until that delay (ms) is so, three times at most.
timed()
{
	for _ in 1 2 3; do
		flow "${@:4}"
		! within "$(ms "$4" "$1")" "$2" "$3" || break
	done
	near "$4" "$1" "$(ms "$4" "$1")" "$2" "$3" ms
}

# near NAME METRIC VALUE LEAST MOST UNIT
near()
{
	record "$1" "$2" "$3" "$6" "$4 to $5"
	if within "$3" "$4" "$5"; then
		ok "$1/$2"
	else
		fail "$1/$2" "$3, not $4 to $5 $6"
	fi
}

# by_chance NAME METRIC COUNT N SHARE: COUNT of N, each with the probability SHARE.
by_chance()
{
	local room
	room=$(awk -v n="$4" -v p="$5" 'BEGIN {
		r = 5 * sqrt(n * p * (1 - p)); printf "%.0f %.0f", n * p - r, n * p + r }')
	near "$1" "$2" "$3" "${room% *}" "${room#* }" "of $4"
}

ms() { said "$1" ".delay_us.$2 / 1000"; }

timed p50 0 0.5 nothing 5000 5000
near nothing lost "$(said nothing .lost)" 0 0 datagrams

impair 'delay 20ms'
timed p50 20 20.5 delay 2000 1000
near delay lost "$(said delay .lost)" 0 0 datagrams
record delay p99 "$(ms delay p99)" ms ''
record delay late_mean "$(wire_stats A eth0 '."a-to-b".late_us.mean')" us ''

impair 'delay 20ms jitter 5ms'
timed p99 24.6 26 jitter 2000 1000
near jitter p50 "$(ms jitter p50)" 19.3 20.9 ms
check jitter/overtakes "all came in order" compare "$(said jitter .reordered)" '>' 500

impair 'delay 20ms jitter 5ms smooth'
timed p99 18 26 smooth 2000 1000
near smooth p50 "$(ms smooth p50)" 15.5 24.5 ms
near smooth reordered "$(said smooth .reordered)" 0 0 datagrams

impair 'loss 5%'
flow loss 10000 10000
by_chance loss lost "$(said loss .lost)" 10000 0.05
near loss told "$(wire_stats A eth0 '."a-to-b".dropped.loss')" "$(said loss .lost)" "$(said loss .lost)" frames
# The other direction has none.
receive A back "udp:$A:9000" -n 2000 -i 500
send B "udp:$A:9000" -n 2000 -r 10000 -s 200 >"$LAB/back.sent"
await back 10
near loss lost_the_other_way "$(said back .lost)" 0 0 datagrams

impair 'burst 2% 30%'
flow burst 20000 12000
# Bursts: how many, how long on average.
read -r bursts mean < <(awk '$1 != last + 1 { n++ } { last = $1 } END { printf "%d %.3f", n, NR / n }' \
	"$LAB/burst.missing")
near burst count "$bursts" 280 470 bursts
near burst length "$mean" 2.6 4.1 datagrams

# 1242 bytes with all headers: 10 Mbit/s are 1006.4 of them a second.
impair 'rate 10mbit queue 50ms'
# blast MS PER-SECOND: what came, datagrams a second.
blast()
{
	# shellcheck disable=SC2086
	$prompt "$WARP_BUILD/netns/blast" rate "/run/netns/$(ns A)" "/run/netns/$(ns B)" -a "$A:9100" \
		-b "$B:9100" -d "$B:9100" -s 1200 -t "$1" -r "$2" | jq .came
}
for _ in 1 2 3; do
	goodput=$(blast 2000 2000 | awk '{ printf "%.3f", $1 * 1242 * 8 / 1e6 }')
	! within "$goodput" 9.5 10.5 || break
done
near rate goodput "$goodput" 9.5 10.5 Mbit/s
wait_until 'wire_quiet A eth0' 2
timed p50 49 52.5 queue 2000 2000 1200
record queue p99 "$(ms queue p99)" ms ''
near queue lost "$(said queue .lost)" 800 1150 "of 2000"
near queue told "$(wire_stats A eth0 '."a-to-b".dropped.queue')" "$(said queue .lost)" "$(said queue .lost)" frames

impair 'rate 10mbit queue 12420b'
timed p50 8.9 10.9 queue_of_ten_frames 1000 2000 1200

impair 'reorder 5% 5ms duplicate 3%'
flow order 4000 2000
by_chance order late "$(said order .reordered)" 4000 0.05
by_chance order twice "$(said order .duplicated)" 4000 0.03
near order lost "$(said order .lost)" 0 0 datagrams

# One bit of a frame: a checksum drops it, or an address that is nobody's. Few bits do no harm.
impair 'corrupt 10%'
flow corrupt 4000 4000
by_chance corrupt frames "$(wire_stats A eth0 '."a-to-b".corrupted')" 4000 0.1
near corrupt noticed "$(said corrupt .lost)" 240 "$(wire_stats A eth0 '."a-to-b".corrupted')" datagrams
near corrupt passed_on "$(said corrupt .corrupt)" 0 0 datagrams

# --- while it runs ---
pings() { run_in A ping -c 1 -W 1 -q "$B"; }
wire_set B eth0 both none
check up "no answer" pings
wire_set B eth0 both down
check down "answers came over a link that is down" not pings
wire_set B eth0 both up
check up_again "no answer" pings
check ipv6 "no answer" run_in A ping -c 1 -W 1 -q "${ADDRESS6[B/eth0]}"
wire_set A eth0 unplug
check unplugged "A has a carrier" not has_carrier A eth0
wire_set A eth0 plug
check plugged "no answer" wait_until pings 2
wire_set A eth0 a-to-b delay 3ms
why=$(wire_tell A eth0 both lose 5% 2>&1)
check mistake_is_told "$why" test $? = 1 -a "$why" = "error: 'lose' is no impairment; is it 'loss'?"
check mistake_changes_nothing "it did" test "$(wire_stats A eth0 '."a-to-b".impair')" = "delay 3ms"

# --- the same seed, the same losses; no frame but those that were sent ---
fate()
{
	host "$1"
	host "$2"
	WIRE_OPTIONS="-p -s $3" wire_link "$1" eth0 "$2" eth0 "loss 5% duplicate 1%"
	receive "$2" "fate-$1" "udp:${ADDRESS[$2/eth0]}:9000" -n 3000 -i 300 -m "$LAB/$1.missing"
	send "$1" "udp:${ADDRESS[$2/eth0]}:9000" -n 3000 -r 20000 -s 100 >"$LAB/$1.sent"
	await "fate-$1" 10
	said "fate-$1" .duplicated >>"$LAB/$1.missing"
}
fate C D 7
fate E F 7
fate G H 8
check seed_repeats "not the same losses" cmp "$LAB/C.missing" "$LAB/E.missing"
check seed_differs "the same losses with another seed" not cmp "$LAB/C.missing" "$LAB/G.missing"

# How much it carries, for the record.
impair none
record load came "$(blast 500 40000)" datagrams/s ''
near load no_room "$(wire_stats A eth0 '."a-to-b".dropped.no_room')" 0 0 frames
lab_end
