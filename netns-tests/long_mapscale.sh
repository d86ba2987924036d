#!/usr/bin/env bash
# One warp-map with 100,000 nodes: memory, registrations a second beside a STUN server's answers, and how
# long it takes until a node learns that its peer has moved.
#
#    mapload (100,000 addresses) -- loopback -- warp-map       in one namespace
#    stunload (1,000 addresses)  -- loopback -- turnserver
#
# Memory: resident set of warp-map less that before the first node came, by nodes; the highest that was
# seen, which is while all keys are being renewed and each node may have two sessions.
#
# Registrations against STUN: coturn's turnserver (one relay thread, STUN only, no authentication, nothing
# else switched on) and warp-map run at the same time, both pinned to the first processor; the loads run
# on the last one, by turns, 5 rounds each. Both loads are the same code (tests/unit/loadio.c): batches of
# 64, 256 requests under way, each answer is followed by the next request. A registration is sealed and
# opened at both ends; a binding is not. turnserver is asked by 1,000 addresses only, because it keeps
# some 9 KB for each for a minute; warp-map by all its 100,000. What is compared is answers by second of
# CPU time of the server's process: that is its rate when a processor is its own, and does not change
# when others want it, too. The rates by the clock are recorded beside.
#
# Pushes, measured first, while no session is old: all nodes register, ask for their peer and keep alive once in 10 s each, and renew their keys once
# in 120 s, as warpd does. Meanwhile nodes change their port; measured is from there to when their peer
# has been told, at the nodes. From the beginning until then both programs have real-time priority: else,
# on a machine that others use too, the others are what is measured.
#
# MAPSCALE_NODES, MAPSCALE_SECONDS (of the pushes) make it smaller.
# timeout: 1500
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/mapload.sh
. "$(dirname "$0")/lib/mapload.sh"
LAB_NAME=map-scale # of the results
lab_begin warp-map warp netns/mapload netns/stunload turnserver taskset chrt jq ss

NODES=${MAPSCALE_NODES:-100000}
SECONDS_LONG=${MAPSCALE_SECONDS:-90}
ROUNDS=5
last=$(($(nproc) - 1))
LOAD_PREFIX=(chrt --rr 1 taskset -c "$last")

host M
ip_in M route add local 10.0.0.0/8 dev lo
cat >"$LAB/map.yaml" <<END
private_key_file: $(private_key map)
listen: ["127.0.0.1:13116"]
max_nodes: $((NODES * 2))
client_expiry: 300
END
spawn M map chrt --rr 1 taskset -c 0 "$WARP_BUILD/warp-map" -v -c "$LAB/map.yaml"
wait_until 'listens M udp 13116' 5 || lab_die "warp-map does not listen"

# --- all register

if begin_nodes M 127.0.0.1:13116 "$(public_key map)" "$(pid map)" "$NODES" $((60 + NODES / 200)); then
	ok all_nodes_are_registered
else
	fail all_nodes_are_registered "$(tail -n 3 "$LAB/mapload.log")"
	lab_end
fi
record mapscale begin_s "$(of .seconds)" s ""
record mapscale first_registrations_per_cpu_second "$(of '.nodes / .cpu | floor')" 1/s ""

# --- a day

step "push=$((SECONDS_LONG * 10)),$SECONDS_LONG" $((SECONDS_LONG + 60)) || lab_die "mapload has ended"
moves=$(of .moves)
told=$(of .told)
record mapscale push_p50_ms "$(of .told_p50_ms)" ms ""
record mapscale push_p99_ms "$(of .told_p99_ms)" ms "< 100"
record mapscale registration_p99_ms "$(of .answered_p99_ms)" ms ""
record mapscale cpu_of_a_day "$(of '.cpu / .seconds')" processors ""
record mapscale keys_renewed "$(of .greetings)" sessions ""
check changes_are_told "$told of $moves" [ "$told" -ge $((moves * 99 / 100)) ]
check changes_are_told_soon "p99 $(of .told_p99_ms) ms" compare "$(of .told_p99_ms)" '<' 1000
bytes=$(of .peak_bytes_per_node)
record mapscale bytes_per_node "$bytes" B "< 1024"
check a_node_is_small "$bytes bytes" compare "$bytes" '<' 1024
for p in map mapload; do
	chrt --other --pid 0 "$(pid $p)" || lab_die "chrt"
done

# --- registrations and bindings, by turns

# stun: one round; its line of JSON.
stun() { run_in M taskset -c "$last" "$WARP_BUILD/netns/stunload" 127.0.0.1:3478 "$(pid turn)" 1000 256 4; }
joined() { paste -sd,; }
median() { tr , '\n' | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
PER_CPU='.answers / .cpu | floor'
PER_S='.answers / .seconds | floor'
spawn M turn taskset -c 0 turnserver -n -S -z -m 1 -L 127.0.0.1 -p 3478 --no-cli --no-tcp --no-tls \
	--no-dtls --no-rfc5780 --no-software-attribute -l stdout --pidfile "$LAB/turn.pid" -b "$LAB/turn.db"
wait_until 'listens M udp 3478' 10 || lab_die "turnserver does not listen"
: >"$LAB/warp"
: >"$LAB/stun"
stun >/dev/null
for ((i = 0; i < ROUNDS; i++)); do
	step rate=256,4 60 || lab_die "mapload has ended"
	of . >>"$LAB/warp"
	stun >>"$LAB/stun" || lab_die "turnserver does not answer"
done
for what in warp stun; do
	name=$([ $what = warp ] && echo registrations || echo coturn_bindings)
	per_cpu=$(jq -r "$PER_CPU" "$LAB/$what" | joined)
	per_s=$(jq -r "$PER_S" "$LAB/$what" | joined)
	record mapscale "${name}_per_cpu_second" "$(median <<<"$per_cpu")" 1/s "" "$per_cpu"
	record mapscale "${name}_per_second" "$(median <<<"$per_s")" 1/s "" "$per_s"
done
ratios=$(paste <(jq -r "$PER_CPU" "$LAB/warp") <(jq -r "$PER_CPU" "$LAB/stun") | awk '{ print $1 / $2 }' | joined)
ratio=$(median <<<"$ratios")
record mapscale registrations_vs_coturn "$ratio" ratio ">= 1" "$ratios"
check registers_as_fast_as_coturn_answers "$ratio times as fast" compare "$ratio" '>=' 1
stop turn

check mapload_ends_well "$(tail -n 3 "$LAB/mapload.log")" end_nodes
check map_ends_well "not status 0" stop map
lab_end
