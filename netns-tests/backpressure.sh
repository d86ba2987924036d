#!/usr/bin/env bash
# Back-pressure of Unix gates: on a slow or stalled link send() blocks, with one payload at most ahead of the wire;
# what misses its deadline is never delivered; applications that end, come back, or do not read do no harm.
#
#    A eth0 --- internet --- eth0 B         A's link is slowed down and stalled by a token bucket with a long queue
# timeout: 120
# alone: measures milliseconds
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq tc warpd warp netns/numbers

SIZE=4000      # more than that of a send buffer that is as small as can be, so it holds one
SLOW=200       # kbit/s: SLOT ms for each payload, in three fragments
SLOT=172
DEADLINE=100   # ms, of the tunnels that have one
lab_internet
host A
host B
uplink A eth0
uplink B eth0

# member HOST PEER
member()
{
	INTERFACES='listen_port: 51900' conf "$1" <<-END
		far_gate:
		$(far_gate "$2" "endpoints: ['${ADDRESS[$2/eth0]}:51900']")
		tunnels:
		  - name: seqpacket
		    gate: { path: $LAB/$1.seqpacket, type: seqpacket }
		  - name: dgram
		    gate: { path: $LAB/$1.dgram, type: dgram }
		  - name: tight
		    gate: { path: $LAB/$1.tight, type: seqpacket }
		    transport: { send_deadline: ${DEADLINE}ms }
		  - name: udp
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		    transport: { send_deadline: ${DEADLINE}ms }
	END
}
member A B
member B A
start_warpd A B
connected_both() { connected A B && connected B A; }
check connects "no path in 5 s" wait_until connected_both 5
check sized "the size of the path is not found" wait_until 'status_is A "[.peers[].paths[].mtu] | min >= 1400"' 10

# pace KBIT: what A's link carries from now on; a queue stays
run_in A tc qdisc add dev eth0 root tbf rate 100mbit burst 20kb limit 4mb || lab_die tc
pace() { run_in A tc qdisc change dev eth0 root tbf rate "$1kbit" burst 4kb limit 4mb || lab_die "tc $1"; }
stall() { pace 1; }
flows() { run_in A tc qdisc change dev eth0 root tbf rate 100mbit burst 20kb limit 4mb || lab_die tc; }
# The queue of A's link is empty.
drained() { run_in A tc -s qdisc show dev eth0 | grep -q 'backlog 0b'; }
idle() { flows && wait_until 'drained && connected_both' 10 || lab_die "the link does not recover"; }
drops() { status "$1" '.tunnels[] | select(.name == $t) | .drops[$r] // 0' --arg t "$2" --arg r "$3"; }
ms() { said "$1" ".delay_us.$2 / 1000"; }
wake_ups() { sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$(pid A)/status"; }
rss() { sed -n 's/^VmRSS: *\([0-9]*\) kB/\1/p' "/proc/$(pid "$1")/status"; }

# --- at the pace of the link, one payload ahead

# paced TYPE
paced()
{
	pace $SLOW
	receive B "$1" "$1:$LAB/B.$1" -n 16 -i 3000
	send A "$1:$LAB/A.$1" -n 16 -s $SIZE -b >"$LAB/$1.sent"
	await "$1" 10 || lab_die "the receiver of $1 has not ended"
	record backpressure "$1_delay_in_payloads" "$(said "$1" "(.delay_us.p50 / 10 / $SLOT | round) / 100")" payloads '<= 3'
	check "$1/nothing_is_lost" "$(told "$1")" all_once "$1"
	# One leaves, one is ahead of the wire in the send buffer, one waits in send().
	check "$1/one_ahead" "payloads of $SLOT ms took $(ms "$1" p50), $(ms "$1" max) ms" \
		compare "$(ms "$1" p50)" '<' $((SLOT * 4))
	check "$1/send_blocks" "$(cat "$LAB/$1.sent")" compare "$(jq .blocked_ms "$LAB/$1.sent")" '>' $((SLOT * 11))
	idle
}
paced seqpacket
paced dgram

# --- the link stalls altogether, and goes on

# stalled TYPE: of one datagram each, for fragments would be too old when the last one comes. A send buffer holds
# two of these.
stalled()
{
	local name=stall-$1
	stall
	receive B "$name" "$1:$LAB/B.$1" -n 30 -i 3000
	send_along A "$name-sender" "$1:$LAB/A.$1" -n 30 -s 1300 -b -a 4
	check "$1/blocks_while_stalled" "four payloads were taken" for_seconds 1 "! grep -q 'at 4' $LAB/$name-sender.log"
	# The kernel is asked ever less often whether it has left: 100 times a second, not 5,000.
	woken=$(wake_ups)
	nap 1
	woken=$(($(wake_ups) - woken))
	record backpressure "$1_stalled_wake_ups" "$woken" 1/s '< 300'
	check "$1/costs_little_while_stalled" "$woken wake-ups in a second" [ $woken -lt 1000 ]
	flows
	await "$name" 10 || lab_die "the receiver of $name has not ended"
	check "$1/goes_on" "$(told "$name")" all_once "$name"
	idle
}
stalled seqpacket
stalled dgram

# --- deadlines: 100 payloads a second, of which the link stalls for one

# late NAME FROM TO: how many come later than they may, when the link stalls for a second. Leaves HELD: how
# many are sent in the time that it really was.
late()
{
	local begun
	receive B "$1" "$3" -n 300 -i 1500 -d $((DEADLINE + 100))
	send_along A "$1-sender" "$2" -n 300 -r 100 -s 500 -b
	nap 0.5
	begun=$(now_us)
	stall
	nap 1
	flows
	HELD=$((($(now_us) - begun) / 10000))
	await "$1" 10 || lab_die "the receiver of $1 has not ended"
	idle
}
# What else the machine has to do makes payloads late too: then once more.
for _ in 1 2 3; do
	late udp-late udp:127.1.0.1:9000 udp:127.1.0.1:9001
	[ "$(said udp-late .late)" != 0 ] || break
done
check udp/nothing_comes_late "$(said udp-late '"\(.late) late"'), p99 $(ms udp-late p99) ms" [ "$(said udp-late .late)" = 0 ]
check udp/the_others_come "$(told udp-late)" compare "$(said udp-late .lost)" '<' $((HELD + 50))
check udp/what_is_late_is_counted "$(status A '.tunnels[].drops' -c) $(status B '.tunnels[].drops' -c)" \
	compare "$(($(drops A udp deadline) + $(drops B udp expired)))" '>' 0
before=$(drops B tight expired)
late unix-late "seqpacket:$LAB/A.tight" "seqpacket:$LAB/B.tight"
# A deadline begins when the gate has looked at the payload: what send() has kept waiting is as fresh as ever.
check tight/nothing_else_comes_late "$(said unix-late '"\(.late) late"')" compare "$(said unix-late .late)" '<=' 120
check tight/what_stood_in_the_link_is_dropped "$(told unix-late), $(drops B tight expired) expired" \
	compare "$(($(drops B tight expired) + $(drops A tight deadline)))" '>' "$before"
record backpressure tight_lost_by_a_stall "$(said unix-late .lost)" payloads '<= 3'

# --- the application at the far end goes, comes back, does not read

receive B first "seqpacket:$LAB/B.seqpacket" -n 2000 -i 3000
send_along A gone-sender "seqpacket:$LAB/A.seqpacket" -n 2000 -r 1000 -s 1000
nap 0.5
stop first KILL
await gone-sender 10
check gone/sender_is_not_held_up "$(said gone-sender .)" [ "$(said gone-sender '.sent, .errors' | xargs)" = "2000 0" ]
receive B second "seqpacket:$LAB/B.seqpacket" -n 500 -i 1000
send A "seqpacket:$LAB/A.seqpacket" -n 500 -r 1000 -s 1000 >"$LAB/second.sent"
await second 5
check gone/its_successor_gets_all "$(told second)" all_once second

before=$(rss B) full=$(drops B seqpacket gate_full)
receive B slow "seqpacket:$LAB/B.seqpacket" -n 40000 -i 1500
kill -STOP "$(pid slow)"
send A "seqpacket:$LAB/A.seqpacket" -n 20000 -r 5000 -s 1400 >"$LAB/slow.sent"
grown=$(($(rss B) - before))
record backpressure slow_reader_memory "$grown" kB '< 4096'
check slow/memory_has_a_bound "$grown kB more for 28 MB" [ $grown -lt 8192 ]
check slow/is_counted "$(status B '.tunnels[].drops' -c)" compare "$(drops B seqpacket gate_full)" '>' "$full"
check slow/sender_is_not_held_up "$(cat "$LAB/slow.sent")" [ "$(jq .errors "$LAB/slow.sent")" = 0 ]
kill -CONT "$(pid slow)"
await slow 10
check slow/gets_what_was_kept "$(told slow)" \
	[ "$(said slow '.unique > 100 and .duplicated == 0 and .corrupt == 0')" = true ]

# --- warpd ends under a sender that waits: an error, at once, and the gate comes back

stall
for type in seqpacket dgram; do
	send_along A "$type-cut" "$type:$LAB/A.$type" -n 50 -s $SIZE -b
	# It waits: its number does not change.
	for_seconds 1 "running $type-cut" || fail "$type/waits" "it has ended"
done
stop A
for type in seqpacket dgram; do
	check "$type/error_when_the_gate_goes" "it still waits" wait_until "! running $type-cut" 3
	check "$type/error_is_told" "$(cat "$LAB/$type-cut.log")" [ "$(said "$type-cut" '.errors > 0')" = true ]
done
flows
start_warpd A
wait_until connected_both 5 || lab_die "no path after a restart"
receive B again "seqpacket:$LAB/B.seqpacket" -n 100 -i 1000
send A "seqpacket:$LAB/A.seqpacket" -n 100 -r 1000 -s 1000 >"$LAB/again.sent"
await again 5
check gate_comes_back "$(told again)" all_once again
lab_end
