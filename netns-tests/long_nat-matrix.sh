#!/usr/bin/env bash
# Every kind of NAT against every kind of NAT: how long until the first payload, how long until a direct
# path, and how.
#
#    A-KIND eth0 -- router (KIND) --+-- internet --+-- router (KIND) -- eth0 B-KIND
#                                   |
#                                  map (two addresses, two ports each)
#
# 55 pairs: which side is called A decides nothing; both are started at once, and where the protocol has
# roles, keys decide, which are drawn anew for each pair. TRIES=n looks at each pair n times and keeps
# the slowest. KINDS="open symmetric" looks at fewer. Pairs come one after the other, so that they do
# not wait for each other.
#
# The matrix has, for each pair, ms until the first payload had come at both ends, ms until both had
# a direct path (-: none), and how.
# timeout: 3600
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
LAB_NAME='nat-matrix' # of its results
lab_begin tun jq conntrack warpd warp-map warp netns/numbers

read -ra KINDS <<<"${KINDS:-open firewall full-cone restricted port-restricted symmetric-address symmetric sequential cgnat udp-blocked}"
TRIES=${TRIES:-1}
declare -A TABLE
cells=0 connected=0 possible=0 direct=0 slowest=0

# row A B TRY: one line of build/results/nat-matrix.jsonl.
row()
{
	printf '{"test": "nat-matrix", "metric": "%s x %s", "value": %s, "unit": "ms", "goal": "<= 1000", "try": %d, "how": "%s", "first_payload_ms": %s, "direct_ms": %s, "expected": "%s", "lost": %d, "twice": %d}\n' \
		"$1" "$2" "${PAIR_FIRST_MS:-null}" "$3" "$PAIR_HOW" "${PAIR_FIRST_MS:-null}" "${PAIR_DIRECT_MS:-null}" \
		"$(pair_expects "$1" "$2")" "$PAIR_LOST" "$PAIR_TWICE" >>"$LAB_RESULTS/$LAB_NAME.jsonl"
}

# cell A B TRY
cell()
{
	pair_judge "$1-$2$([ "$TRIES" = 1 ] || echo "/$3")" "$1" "$2"
	row "$1" "$2" "$3"
	cells=$((cells + 1))
	if [ -n "$PAIR_FIRST_MS" ]; then
		connected=$((connected + 1))
		[ "$PAIR_FIRST_MS" -le "$slowest" ] || slowest=$PAIR_FIRST_MS
	fi
	if [[ $(pair_expects "$1" "$2") == direct* ]]; then
		possible=$((possible + 1))
		[ -z "$PAIR_DIRECT_MS" ] || direct=$((direct + 1))
	fi
	printf '%-18s x %-18s first %6s ms, direct %6s ms, %s, lost %d\n' "$1" "$2" "${PAIR_FIRST_MS:--}" \
		"${PAIR_DIRECT_MS:--}" "${PAIR_HOW:-not connected}" "$PAIR_LOST"
	# Of several tries the worst: without a direct path, or the latest.
	if [ -z "${TABLE[$1 $2]:-}" ] || [ -z "$PAIR_DIRECT_MS" ] || [ "$PAIR_DIRECT_MS" -gt "${WORST[$1 $2]}" ]; then
		TABLE[$1 $2]="${PAIR_FIRST_MS:--} ${PAIR_DIRECT_MS:--} ${PAIR_HOW:-none}"
		WORST[$1 $2]=${PAIR_DIRECT_MS:-999999}
	fi
}
declare -A WORST

# matrix FIELD TITLE: of TABLE's fields one, rows and columns in the order of KINDS.
matrix()
{
	local a b value
	printf '\n%s\n%-18s' "$2" ''
	for b in "${KINDS[@]}"; do printf '%18s' "$b"; done
	echo
	for a in "${KINDS[@]}"; do
		printf '%-18s' "$a"
		for b in "${KINDS[@]}"; do
			value=${TABLE[$a $b]:-${TABLE[$b $a]:-}}
			printf '%18s' "$(cut -d ' ' -f "$1" <<<"$value")"
		done
		echo
	done
}

fraction() { awk -v a="$1" -v b="$2" 'BEGIN { print b ? a / b : 1 }'; }

pairs_begin "${KINDS[@]}"
for ((try = 1; try <= TRIES; try++)); do
	for ((i = 0; i < ${#KINDS[@]}; i++)); do
		for ((j = i; j < ${#KINDS[@]}; j++)); do cell "${KINDS[i]}" "${KINDS[j]}" "$try"; done
	done
done

matrix 1 'ms to the first payload at both ends'
matrix 2 'ms to a direct path at both ends'
matrix 3 'how'
echo
record nat-matrix cells "$cells" cells ''
record nat-matrix cells_connected_fraction "$(fraction "$connected" "$cells")" '' 1
record nat-matrix first_payload_max_ms "$slowest" ms '<= 1000'
record nat-matrix direct_possible_fraction "$(fraction "$direct" "$possible")" '' '>= 0.99'
lab_end
