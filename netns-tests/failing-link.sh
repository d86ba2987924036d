#!/usr/bin/env bash
# One of two links fails in each of the ways that links fail in, and recovers: it is cut, becomes a black hole,
# loses half of everything, delays everything by half a second. `replicate` loses nothing meanwhile; the other
# modes stop using it within 300 ms of silence, and use it again within a second of its recovery.
#
#    A eth0 -- wire: 20 ms          -- eth0 B
#    A eth1 -- wire: 20 ms, failing -- eth1 B
#
# With `stripe` the link that fails is a little faster, so that it has all there is to lose.
#
# MODE chooses: "replicate shards stripe" if not told otherwise; also "auto".
# timeout: 120
# alone: measures milliseconds
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq tcpdump warpd warp netns/numbers netns/wire
lab_urgent

RATE=1000
SIZE=500
ROUNDS=${ROUNDS:-1} # of each failure
USUAL=20ms           # delay of the link that fails
host A
host B
wire_link A eth0 B eth0 'delay 20ms'
WIRE_OPTIONS='-p -s 2' wire_link A eth1 B eth1 'delay 20ms'

redundancy()
{
	case $1 in
	shards) echo 'mode: shards, num_shards: 5, required_shards: 3, max_delay: 20ms' ;;
	*) echo "mode: $1" ;;
	esac
}
# member HOST PEER MODE
member()
{
	conf_direct "$1" "$2" <<-END
		  - name: data
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		    transport: { redundancy: { $(redundancy "$3") } }
	END
}
rows_begin

# fail KIND, mend KIND: A's eth1
fail_link()
{
	case $1 in
	cut) ip_in A link set dev eth1 carrier off ;;
	blackhole) wire_set A eth1 both down ;;
	loss) wire_set A eth1 both loss 50% ;;
	delay) wire_set A eth1 both delay 520ms ;;
	esac
}
mend_link()
{
	case $1 in
	cut) ip_in A link set dev eth1 carrier on ;;
	blackhole) wire_set A eth1 both up ;;
	loss) wire_set A eth1 both loss 0% ;;
	delay) wire_set A eth1 both delay $USUAL ;;
	esac
}

# begin MODE SECONDS: both ends run, and a flow from A to B.
begin()
{
	member A B "$1"
	member B A "$1"
	start_warpd A B
	check "$1/connects" "not two live paths in 10 s" wait_until 'connected A B 2 && connected B A 2' 10
	receive B flow udp:127.1.0.1:9001 -n $(($2 * RATE)) -i 1500
	send_along A sender udp:127.1.0.1:9000 -n $(($2 * RATE)) -r $RATE -s $SIZE
	nap 2
}
end()
{
	await sender 60
	await flow 20
	printf '%s: %s\n' "$1" "$(told flow)"
	check "$1/at_most_once" "$(told flow)" [ "$(said flow '.duplicated + .corrupt')" = 0 ]
}

# --- nothing is lost

lossless()
{
	local kind
	begin "$1" $((3 + 8 * ROUNDS))
	for kind in $(yes 'cut blackhole loss delay' | head -n "$ROUNDS"); do
		fail_link "$kind"
		nap 1
		mend_link "$kind"
		nap 0.6
	done
	end "$1"
	check "$1/nothing_lost" "$(told flow)" all_once flow
	row "$1_lost_on_cut" "$(said flow .lost)" payloads 0
	row "$1_longest_gap" "$(said flow .longest_gap_ms)" ms ''
	stop A
	stop B
}

# --- how soon it is left, and used again

# Datagrams of data, not probes, small or large, that A gives to its eth1: one line for each, its time in microseconds.
data() { sed -n "s/^\([0-9]*\)\.\([0-9]*\) IP ${ADDRESS[A/eth1]}.* length \([0-9]*\)\$/\1\2 \3/p" "$LAB/dump.log" | awk -v s=$SIZE '$2 >= s && $2 < s + 200 { print $1 }'; }
# used FROM TO: microseconds from FROM to the last of them before TO; 0: none.
last_used() { data | awk -v from="$1" -v to="$2" 'BEGIN { at = from } $1 > from && $1 < to { at = $1 } END { print at - from }'; }
# first_used FROM: microseconds until five of them came within 50 ms; -1000: never
first_used()
{
	data | awk -v from="$1" '$1 < from { next }
		{ t[++n] = $1 } n >= 5 && t[n] - t[n - 4] < 50000 { print t[n - 4] - from; found = 1; exit }
		END { if (!found) print -1000 }'
}
# uses FROM TO: how often it was taken into use again in between, after pauses of at least 100 ms.
uses() { data | awk -v from="$1" -v to="$2" '$1 > from && $1 < to { if (last && $1 - last > 100000) n++; last = $1 } END { print n + 0 }'; }
ms() { awk -v us="$1" 'BEGIN { printf "%.1f", us / 1000 }'; }

# try MODE KIND TIME-FAILING TIME-MENDED: leaves LEFT and TAKEN, ms
try()
{
	local failed mending mended
	: >"$LAB/dump.log"
	fail_link "$2"
	failed=$(now_us)
	nap "$3"
	mending=$(now_us)
	mend_link "$2"
	mended=$(now_us)
	nap "$4"
	nap 0.2 # tcpdump writes
	# Soon is what is recorded; later is not never.
	[ "$1" = auto ] || wait_until "[ \"\$(first_used $mended)\" -ge 0 ]" 2
	LEFT=$(ms "$(last_used "$failed" "$mending")")
	TAKEN=$(ms "$(first_used "$mended")")
	printf '%-10s %-10s %12s %12s %6s\n' "$1" "$2" "$LEFT" "$TAKEN" "$(uses "$failed" "$mending")"
}
# try_fairly AT-MOST TRY...: when the machine stands still in that time the link may seem to be left late: then
# once more, twice in a flow.
try_fairly()
{
	try "${@:2}"
	while [ "$2" != auto ] && [ $SPARE -gt 0 ] && ! compare "$LEFT" '<' "$1"; do
		SPARE=$((SPARE - 1))
		try "${@:2}"
	done
}
# left MODE KIND AT-MOST GOAL
left()
{
	row "$1_$2_demote_ms" "$LEFT" ms "$4"
	[ "$1" = auto ] && [ "$2" != blackhole ] || check "$1/$2/left" "$LEFT ms" compare "$LEFT" '<' "$3"
}
# again MODE KIND: `auto` does without a link for as long as the other is good enough.
again()
{
	[ "$1" != auto ] || return 0
	row "$1_$2_recover_ms" "$TAKEN" ms '< 1000'
	check "$1/$2/used_again" "$TAKEN ms" compare "$TAKEN" '>= 0 && a <' 3000
}
adaptive()
{
	local mode=$1 kind
	[ "$mode" != stripe ] || USUAL=15ms
	wire_set A eth1 both delay $USUAL
	: >"$LAB/dump.log"
	spawn A dump tcpdump -i eth1 -n -tt -l -q udp
	wait_until "grep -q 'listening on' $LAB/dump.log" 5 || lab_die "tcpdump does not listen"
	SPARE=2
	begin "$mode" $((13 + 14 * ROUNDS))
	printf '%-10s %-10s %12s %12s %6s\n' mode failure 'left ms' 'used ms' uses
	for _ in $(seq "$ROUNDS"); do
		try_fairly 1000 "$mode" blackhole 1 1.3
		left "$mode" blackhole 1000 '< 300'
		again "$mode" blackhole
		[ "$mode" != shards ] || {
			row blackhole_demote_ms "$LEFT" ms '< 300'
			row recover_ms "$TAKEN" ms '< 1000'
		}
		for kind in cut loss delay; do
			try_fairly 1200 "$mode" $kind 1.4 1.2
			# Chance has a say in when half of everything is seen to be lost, of what is told of it as well.
			left "$mode" $kind 1200 '< 300'
			again "$mode" $kind
		done
	done
	end "$mode"
	row "${mode}_lost" "$(said flow .lost)" payloads ''
	stop A
	stop B
	stop dump INT
}

for mode in ${MODE:-replicate shards stripe}; do
	case $mode in
	replicate) lossless "$mode" ;;
	*) adaptive "$mode" ;;
	esac
done
lab_end
