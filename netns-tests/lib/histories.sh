# shellcheck shell=bash
# Six histories of two links, for tunnels with a target; comes after lib/lab.sh and lib/wire.sh.
#
#    A eth0 -- wire: 10 ms -- eth0 B        each history is that of these two; `auto` is a tunnel with a target,
#    A eth1 -- wire: 10 ms -- eth1 B        `copies` one that replicates, both with the same payloads
#
#   histories_begin                           two hosts, two links, two daemons
#   play_history NAME SECONDS                      plays one, with payloads in both tunnels at once
#   residual auto; overhead auto              what came of it
#   went_well                                 and was it no more than may_miss, the test's, prints?
#
# The overhead of the mode auto is what the links carried in both directions, without what the other tunnel's
# copies were: probes and reports count as its. It is told in datagrams of a payload.
# shellcheck disable=SC2034

RATE=${RATE:-800} # payloads a second in each tunnel
SIZE=1100
DATAGRAM=$((SIZE + 39)) # of a PAYLOAD, as UDP payload
WITHIN=80               # ms
TARGET=0.0001

histories_begin()
{
	host A
	host B
	wire_link A eth0 B eth0 'delay 10ms'
	WIRE_OPTIONS='-p -s 2' wire_link A eth1 B eth1 'delay 10ms'
	histories_member A B "mode: auto, target: { residual_loss: $TARGET, within: ${WITHIN}ms, max_overhead: 1.6 }"
	histories_member B A 'mode: replicate'
	start_warpd A B
	check connects "no two paths in 10 s" wait_until 'connected A B 2 && connected B A 2 &&
		status_is A "[.peers[].paths[] | select(.state == \"live\") | .mtu] | min >= 1400"' 10
}

# histories_member HOST PEER REDUNDANCY
histories_member()
{
	conf_direct "$1" "$2" <<-END
		  - name: auto
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		    transport: { redundancy: { $3 } }
		  - name: copies
		    gate: { application_to_gate: "127.1.0.1:9010", gate_to_application: "127.1.0.1:9011" }
	END
}

# --- what happens to the links, for so many seconds ---

play_good() { nap "$1"; }
play_lossy()
{
	wire_set A eth0 'both loss 3%'
	wire_set A eth1 'both loss 5%'
	nap "$1"
}
play_bursty()
{
	wire_set A eth0 'both burst 0.6% 20%'
	wire_set A eth1 'both burst 0.6% 20%'
	nap "$1"
}
# From nothing to 40 % and back.
play_fading()
{
	local loss
	wire_set A eth1 'both loss 0.5%'
	for loss in 0 8 16 24 32 40 32 24 16 8; do
		wire_set A eth0 "both loss $loss%"
		nap "$(awk -v t="$1" 'BEGIN { print t / 10 }')"
	done
}
play_dies()
{
	nap "$(awk -v t="$1" 'BEGIN { print t * 0.6 }')"
	wire_set A eth0 'both down'
	nap "$(awk -v t="$1" 'BEGIN { print t * 0.4 }')"
}
# For half of the time one link carries no more than the copies, and makes everything wait.
play_congested()
{
	local rate=$((RATE * (DATAGRAM + 28) * 8 * 6 / 5 / 1000))
	nap "$(awk -v t="$1" 'BEGIN { print t * 0.25 }')"
	wire_set A eth0 "a-to-b rate ${rate}kbit queue 120ms"
	nap "$(awk -v t="$1" 'BEGIN { print t * 0.5 }')"
	wire_set A eth0 'a-to-b rate 0'
	nap "$(awk -v t="$1" 'BEGIN { print t * 0.25 }')"
}

links_mend() { for i in 0 1; do wire_set A eth$i 'both none' && wire_set A eth$i 'both up delay 10ms'; done; }

tx() { status "$1" '[.peers[].paths[].tx_bytes] | add'; }
tunnel() { status A '.tunnels[] | select(.name == $t) | '"$2" --arg t "$1"; }

# play_history NAME SECONDS: what was sent before the history began and after it has ended is part of it.
play_history()
{
	local count=$((RATE * $2)) t bytes copies
	wait_until 'connected A B 2 && connected B A 2' 10 || lab_die "$1: the links are not back"
	bytes=$(($(tx A) + $(tx B))) copies=$(tunnel copies .tx_copies)
	for t in auto copies; do
		receive B "$t-$1" "udp:127.1.0.1:$([ $t = auto ] && echo 9001 || echo 9011)" -n "$count" -i 1500 -d $WITHIN
	done
	send_along A "send-auto-$1" udp:127.1.0.1:9000 -n "$count" -r "$RATE" -s $SIZE
	send_along A "send-copies-$1" udp:127.1.0.1:9010 -n "$count" -r "$RATE" -s $SIZE
	"play_$1" "$2"
	for t in auto copies; do
		await "send-$t-$1" 10
		await "$t-$1" 10 || lab_die "the receiver of $t in $1 has not ended"
	done
	links_mend
	copies=$(($(tunnel copies .tx_copies) - copies))
	bytes=$(($(tx A) + $(tx B) - bytes - copies * DATAGRAM))
	HISTORY=$1
	OVERHEAD_AUTO=$(awk -v b=$bytes -v n="$count" -v d=$DATAGRAM 'BEGIN { printf "%.3f", b / n / d }')
	OVERHEAD_COPIES=$(awk -v c=$copies -v n="$count" 'BEGIN { printf "%.3f", c / n }')
	MISSED_AUTO=$(said "auto-$1" '.lost + .late')
	MISSED_COPIES=$(said "copies-$1" '.lost + .late')
	# shellcheck disable=SC2034 # for who plays it
	LATE_COPIES=$(said "copies-$1" .late) # which is the machine's doing
	HISTORY_PAYLOADS=$count
}

went_well() { [ "$MISSED_AUTO" -le "$(may_miss)" ]; }

# Results go into build/results/redundancy.jsonl: histories_rows_begin, history_rows after each history,
# histories_rows_end. Of the ratios of overheads it is the worst that counts.
histories_rows_begin()
{
	WORST=0
	rows_begin
}
history_rows()
{
	WORST=$(awk -v a="$OVERHEAD_AUTO" -v b="$OVERHEAD_COPIES" -v w="$WORST" \
		'BEGIN { printf "%.3f", (a / b > w ? a / b : w) }')
	row "auto_residual_$HISTORY" "$(share_of "$MISSED_AUTO")" share "<= $(share_of "$(may_miss)")"
	row "replicate_residual_$HISTORY" "$(share_of "$MISSED_COPIES")" share ''
	row "auto_overhead_$HISTORY" "$OVERHEAD_AUTO" datagrams/payload "< $OVERHEAD_COPIES"
	row "replicate_overhead_$HISTORY" "$OVERHEAD_COPIES" datagrams/payload ''
}
histories_rows_end() { row auto_overhead_vs_replicate "$WORST" 'ratio, worst of six' '< 1'; }
share_of() { awk -v m="$1" -v n="$HISTORY_PAYLOADS" 'BEGIN { print m / n }'; }
read -ra HISTORIES <<<"${HISTORY:-good lossy bursty fading dies congested}"
