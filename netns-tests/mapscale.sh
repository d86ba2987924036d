#!/usr/bin/env bash
# One warp-map with 5,000 nodes, in seconds: what long_mapscale.sh measures with 100,000, with slack.
#
#    mapload (5,000 addresses) -- loopback -- warp-map       in one namespace
#
# Memory has parts that do not grow with nodes (buffers that were touched once: up to 6 MB), so that a
# node seems larger here.
# alone: it measures times
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/mapload.sh
. "$(dirname "$0")/lib/mapload.sh"
lab_begin warp-map warp netns/mapload jq ss

NODES=5000
host M
ip_in M route add local 10.0.0.0/8 dev lo
cat >"$LAB/map.yaml" <<END
private_key_file: $(private_key map)
listen: ["127.0.0.1:13116"]
END
spawn M map "$WARP_BUILD/warp-map" -v -c "$LAB/map.yaml"
wait_until 'listens M udp 13116' 5 || lab_die "warp-map does not listen"

check all_nodes_are_registered "see mapload.log" \
	begin_nodes M 127.0.0.1:13116 "$(public_key map)" "$(pid map)" $NODES 85
check registrations_are_answered "mapload has ended" step rate=256,2 20
record mapscale registrations_per_cpu_second "$(of '.answers / .cpu | floor')" 1/s ""
check changes_are_told "mapload has ended" step push=200,4 20
record mapscale push_p99_ms "$(of .told_p99_ms)" ms ""
check nearly_all_changes_are_told "$(of .told) of 200" compare "$(of .told)" '>=' 190
check changes_are_told_soon "p99 $(of .told_p99_ms) ms" compare "$(of .told_p99_ms)" '<' 1000
bytes=$(of .peak_bytes_per_node)
record mapscale bytes_per_node "$bytes" B ""
check a_node_is_small "$bytes bytes" compare "$bytes" '<' $((1024 + 6000000 / NODES))
check mapload_ends_well "$(tail -n 3 "$LAB/mapload.log")" end_nodes
check map_ends_well "not status 0" stop map
lab_end
