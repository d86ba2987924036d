#!/usr/bin/env bash
# A slow link beside a fast one, with a large buffer in front of it: copies of 20 Mbit/s on a link of 1 Mbit/s.
# What arrives is as fast as over the fast link alone, and the buffer does not stay full: what would come late over
# the slow link is not sent there.
#
#    A eth0 -- wire: 5 ms, 50 Mbit/s, a buffer of 100 ms -- eth0 B
#    A eth1 -- wire: 10 ms, 1 Mbit/s, a buffer of 1 s    -- eth1 B
# timeout: 120
# alone: measures milliseconds
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq ping warpd warp netns/numbers netns/wire
lab_urgent

SECONDS_EACH=8
SLOW=1000  # kbit/s
SIZE=1000  # of payloads; on the wire, with all headers, FRAME
FRAME=1088
host A
host B
wire_link A eth0 B eth0 'delay 5ms rate 50mbit queue 100ms'
WIRE_OPTIONS='-p -s 2' wire_link A eth1 B eth1 'delay 10ms rate 1mbit queue 1000ms'

# member HOST PEER
member()
{
	conf_direct "$1" "$2" <<-END
		  - name: free
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		  - name: tight
		    gate: { application_to_gate: "127.1.0.1:9100", gate_to_application: "127.1.0.1:9101" }
		    transport: { send_deadline: 50ms }
	END
}
member A B
member B A
start_warpd A B
connected_both() { connected A B 2 && connected B A 2; }
check connects "not two live paths in 10 s" wait_until connected_both 10
wait_until 'status_is A "[.peers[].paths[] | select(.state == \"live\") | .mtu] | min >= 1400"' 10 || lab_die "the sizes are not found"

# queue: ms of what is in the buffer of the slow link (10 ms are on the way)
queue() { echo $(($(wire_stats A eth1 '."a-to-b".under_way') * FRAME * 8 / SLOW)); }
# watch NAME: the queue, 20 times a second, with the time in ms since it began
watch()
{
	local begun
	begun=$(now_us)
	while running "$1"; do
		echo "$((($(now_us) - begun) / 1000)) $(queue)"
		nap 0.05
	done >"$LAB/$1.queue"
}
# part FILE FROM-MS PERCENT: that percentile of the queue, from then on
part()
{
	awk -v from="$2" '$1 >= from { print $2 }' "$1" | sort -n |
		awk -v p="$3" '{ q[NR] = $1 } END { n = int(NR * p / 100) + 1; if (n > NR) n = NR; print q[n] + 0 }'
}
slow() { wire_stats A eth1 "(.\"a-to-b\" | $1)"; }
ms() { said "$1" ".delay_us.$2 / 1000"; }
row() { LAB_NAME=redundancy record bufferbloat "$@"; }
[ ! -f "$LAB_RESULTS/redundancy.jsonl" ] ||
	sed -i '/"test": "bufferbloat"/d' "$LAB_RESULTS/redundancy.jsonl"
touch "$LAB/table"
line() { printf '%-12s %8s %8s %8s %7s  %7s %7s %7s  %7s %7s\n' "$@"; }

# flow NAME PORT: 20 Mbit/s for a while; one line of the table
flow()
{
	local rate=$((20000000 / 8 / SIZE)) count offered refused
	count=$((rate * SECONDS_EACH)) offered=$(slow .packets) refused=$(slow .dropped.queue)
	receive B "$1" "udp:127.1.0.1:$(($2 + 1))" -n $count -i 800
	send_along A "$1-sender" "udp:127.1.0.1:$2" -n $count -r $rate -s $SIZE
	watch "$1-sender"
	await "$1" 5 || lab_die "the receiver of $1 has not ended"
	offered=$(($(slow .packets) - offered)) refused=$(($(slow .dropped.queue) - refused))
	slow_copies=$offered
	line "$1" "$(ms "$1" p50)" "$(ms "$1" p99)" "$(ms "$1" max)" "$(said "$1" .lost)" \
		"$(part "$LAB/$1-sender.queue" 3000 50)" "$(part "$LAB/$1-sender.queue" 3000 99)" \
		"$(part "$LAB/$1-sender.queue" 0 100)" "$offered" "$refused" >>"$LAB/table"
	wait_until 'wire_quiet A eth1' 3
}

wire_set A eth1 both down
wait_until 'connected A B 1 && ! connected A B 2' 40 || lab_die "$(paths A)"
flow fast_alone 9000
wire_set A eth1 both up
wait_until connected_both 10 || lab_die "$(paths A)"
# A sender that had to wait makes good for it at once, which is more than fits into a buffer: then once more.
for _ in 1 2 3; do
	flow both 9000
	wait_until connected_both 10 || lab_die "$(paths A)"
	compare "$(said both .lost)" '>' 20 || break
done
flow both_tight 9100
cat <<-END

	20 Mbit/s over 50 and 1 Mbit/s; ms; the queue of the slow link from 3 s on, and at most
	$(line '' 'delay p50' p99 max lost 'queue p50' p99 max copies refused)
	$(cat "$LAB/table")

END

# --- what must hold

median_queue() { part "$LAB/$1-sender.queue" 3000 50; }
for name in both both_tight; do
	row "${name}_delay_p50" "$(ms $name p50)" ms "as fast_alone, $(ms fast_alone p50)"
	row "${name}_delay_p99" "$(ms $name p99)" ms "as fast_alone, $(ms fast_alone p99)"
	row "${name}_slow_queue_p50" "$(median_queue $name)" ms '< 50'
	row "${name}_slow_queue_p99" "$(part "$LAB/$name-sender.queue" 3000 99)" ms '< 150'
	check $name/as_fast_as_the_fast_link "p50 $(ms $name p50) ms, alone $(ms fast_alone p50) ms" \
		compare "$(ms $name p50)" '< 20 +' "$(ms fast_alone p50)"
	check $name/slow_queue_is_short "half of the time $(median_queue $name) ms and more" \
		compare "$(median_queue $name)" '<' 300
done
check both/nothing_is_lost "$(told both)" compare "$(said both .lost)" '<=' 20
check slow_link_is_used "$slow_copies copies in $SECONDS_EACH s" compare "$slow_copies" '>' $((SLOW * SECONDS_EACH / 30))
check slow_link_is_alive "$(paths A)" connected A B 2
check told "$(status A '.tunnels[].drops' -c)" status_is A '[.tunnels[].drops.slow_path] | min > 1000'
lab_end
