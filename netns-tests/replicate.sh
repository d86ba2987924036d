#!/usr/bin/env bash
# `replicate` over links that lose 10 % each: of two links 1 % is lost, of three 0.1 %, as chance has it; each
# payload is as fast as the fastest of its copies, and jitter is less than on either link; UDP and ICMP alike.
#
#    A eth0 -- wire: 20 ms -- eth0 B
#    A eth1 -- wire: 24 ms -- eth1 B        each with losses of its own
#    A eth2 -- wire: 24 ms -- eth2 B
# timeout: 90
# alone: measures milliseconds
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq ping warpd warp netns/numbers netns/wire
lab_urgent

RATE=4000
COUNT=${COUNT:-12000}
case $LAB_NAME in long_*) COUNT=200000 ;; esac
host A
host B
wire_link A eth0 B eth0 'delay 20ms'
WIRE_OPTIONS='-p -s 2' wire_link A eth1 B eth1 'delay 24ms'
WIRE_OPTIONS='-p -s 3' wire_link A eth2 B eth2 'delay 24ms'

# member HOST NUMBER PEER NUMBER
member()
{
	conf_direct "$1" "$3" "allowed_ips: [10.44.0.$4/32]" <<-END
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$2/24] }
		  - name: data
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
	END
}
member A 1 B 2
member B 2 A 1
start_warpd A B
spawn A busy ping -i 0.1 -q 10.44.0.2 # so that silent links are found out soon
# use LINK...: these are up, the others silent.
use()
{
	local i
	for i in 0 1 2; do
		case " $* " in *" $i "*) wire_set A eth$i both up ;; *) wire_set A eth$i both down ;; esac
	done
	wait_until "[ \$(live_paths A B) = $# ] && [ \$(live_paths B A) = $# ]" 5 ||
		lab_die "not $# live paths: $(paths A)"
}
# flow NAME COUNT RATE
flow()
{
	receive B "$1" udp:127.1.0.1:9001 -n "$2" -i 800
	send A udp:127.1.0.1:9000 -n "$2" -r "$3" -s 500 >"$LAB/$1.sent"
	await "$1" 15 || lab_die "the receiver of $1 has not ended"
}
ms() { said "$1" ".delay_us.$2 / 1000"; }
rows_begin

# --- delay: each link alone, then both

use 0
flow warm 500 1000
use 0 1 2
for i in 0 1 2; do wire_set A eth$i 'a-to-b jitter 8ms'; done
# Machines that are busy add milliseconds now and then: what is too late is tried again, three times in all.
delays()
{
	use 0
	flow fast 1500 1500
	use 1
	flow slow 1500 1500
	use 0 1
	flow both 1500 1500
	printf '%-10s %8s %8s %8s\n' link 'p50 ms' 'p99 ms' 'jitter ms'
	for name in fast slow both; do
		printf '%-10s %8.2f %8.2f %8.2f\n' $name "$(ms $name p50)" "$(ms $name p99)" "$(ms $name jitter)"
	done
}
as_fast() { compare "$(ms both p50)" '<=' "$(awk -v a="$(ms fast p50)" 'BEGIN { print a + 1 }')"; }
as_steady()
{
	compare "$(ms both jitter)" '<' "$(ms fast jitter)" && compare "$(ms both jitter)" '<' "$(ms slow jitter)"
}
for _ in 1 2 3; do
	delays
	! as_fast || ! as_steady || break
done
check delay/as_the_faster "$(ms both p50) ms; alone $(ms fast p50) ms" as_fast
check delay/steadier_than_either "$(ms both jitter) ms; alone $(ms fast jitter) and $(ms slow jitter) ms" as_steady
row replicate_p50_above_faster_link "$(awk -v a="$(ms both p50)" -v b="$(ms fast p50)" 'BEGIN { print a - b }')" ms '<= 1'
row replicate_jitter_share "$(awk -v a="$(ms both jitter)" -v b="$(ms fast jitter)" 'BEGIN { print a / b }')" 'of the faster link' '< 1'

# --- losses: the bounds are five standard deviations

for i in 0 1 2; do wire_set A eth$i 'a-to-b jitter 0'; done
# lossy NAME LINK...: prints what was lost of COUNT.
lossy()
{
	local i
	use "${@:2}"
	for i in "${@:2}"; do wire_set A "eth$i" 'a-to-b loss 10%'; done
	flow "$1" "$COUNT" $RATE
	for i in "${@:2}"; do wire_set A "eth$i" 'a-to-b loss 0%'; done
}
# bounds LINKS: least and most that may be lost; within LOST LINKS
bounds()
{
	awk -v n="$COUNT" -v links="$1" 'BEGIN {
		p = 0.1 ^ links; d = 5 * sqrt(n * p * (1 - p)) + 1; least = n * p - d
		print (least > 0 ? least : 0), n * p + d
	}'
}
within()
{
	local least most
	read -r least most <<<"$(bounds "$2")"
	compare "$1" '>=' "$least" && compare "$1" '<=' "$most"
}
printf '%-10s %10s %10s %10s\n' links payloads lost expected
for links in 2 3; do
	# shellcheck disable=SC2046
	lossy "lossy$links" $(seq 0 $((links - 1)))
	lost=$(said "lossy$links" .lost)
	printf '%-10s %10s %10s %10s\n' "$links" "$COUNT" "$lost" "$(awk -v n="$COUNT" -v l=$links 'BEGIN { print n * 0.1 ^ l }')"
	check "loss/$links" "$lost of $COUNT" within "$lost" $links
	check "loss/$links/at_most_once" "$(told "lossy$links")" [ "$(said "lossy$links" '.duplicated + .corrupt')" = 0 ]
done
for links in 2 3; do
	goal=$(bounds $links | awk -v n="$COUNT" '{ printf "%.5f to %.5f", $1 / n, $2 / n }')
	row replicate_residual_loss_${links}x10pct "$(said lossy$links ".lost / $COUNT")" share "$goal"
done

# --- every payload really goes over every link, packets of warp0 too

use 0 1 2
stop busy INT
copies() { status A '.tunnels[] | select(.name == "net") | .tx_copies'; }
payloads() { status A '.tunnels[] | select(.name == "net") | .tx_payloads'; }
before=$(copies) packets=$(payloads)
check icmp/passes "no answer" run_in A ping -c 20 -i 0.02 -W 1 -q 10.44.0.2
copied=$(($(copies) - before)) packets=$(($(payloads) - packets))
check icmp/on_every_link "$copied copies of $packets" [ $packets -ge 20 -a $copied = $((3 * packets)) ]
lab_end
