#!/usr/bin/env bash
# Every kind of NAT against every kind of NAT: how long until the first payload, how long until a direct
# path, and how.
#
#    A-KIND eth0 -- router (KIND) --+-- internet --+-- router (KIND) -- eth0 B-KIND
#                                   |
#                                  map (two addresses, two ports each)
#
# 55 pairs: which side is called A decides nothing; both are started at once, and where the protocol has
# roles, keys decide, which are drawn anew for each pair. KINDS="open symmetric" looks at fewer,
# PAIRS="symmetric:port-restricted sequential:firewall" at these only. Pairs come one after the other, so that
# they do not wait for each other.
#
# The matrix has, for each pair, ms until the first payload had come at both ends, ms until both had
# a direct path (-: none), and how.
#
# TRIES=n looks at each pair n times, as far as MINUTES=n allow, and keeps the slowest. What is judged then
# is how many of them were direct in time, which is recorded as direct_in_time_KIND_KIND: of the
# deterministic strategies 99 of 100, of prediction 90, of the random probe 95.
# timeout: 3600
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
LAB_NAME='nat-matrix' # of its results
lab_begin tun jq conntrack warpd warp-map warp netns/numbers

if [ -n "${PAIRS:-}" ]; then
	read -ra PAIRS <<<"$PAIRS"
	mapfile -t KINDS < <(printf '%s\n' "${PAIRS[@]}" | tr : '\n' | awk '!seen[$0]++')
else
	read -ra KINDS <<<"${KINDS:-open firewall full-cone restricted port-restricted symmetric-address symmetric sequential cgnat udp-blocked}"
	PAIRS=()
	for ((i = 0; i < ${#KINDS[@]}; i++)); do
		for ((j = i; j < ${#KINDS[@]}; j++)); do PAIRS+=("${KINDS[i]}:${KINDS[j]}"); done
	done
fi
TRIES=${TRIES:-1}
MINUTES=${MINUTES:-}
declare -A TABLE WORST TRIED IN_TIME # by `KIND KIND`
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
	local seconds
	read -r _ seconds <<<"$(pair_expects "$1" "$2")"
	pair_judge "$1-$2$([ "$TRIES" = 1 ] || echo "/$3")" "$1" "$2" "$([ "$TRIES" = 1 ] || echo one-of-many)"
	row "$1" "$2" "$3"
	TRIED[$1 $2]=$((${TRIED[$1 $2]:-0} + 1))
	if [ -n "$seconds" ] && [ "${PAIR_DIRECT_MS:-99999}" -le $((seconds * 1000)) ]; then
		IN_TIME[$1 $2]=$((${IN_TIME[$1 $2]:-0} + 1))
	fi
	cells=$((cells + 1))
	if [ -n "$PAIR_FIRST_MS" ]; then
		connected=$((connected + 1))
		[ "$PAIR_FIRST_MS" -le "$slowest" ] || slowest=$PAIR_FIRST_MS
	fi
	if [[ $(pair_expects "$1" "$2") == direct* ]]; then
		possible=$((possible + 1))
		# With a second's grace: what is waited for may be longer.
		[ "${PAIR_DIRECT_MS:-99999}" -gt $((seconds * 1000 + 1000)) ] || direct=$((direct + 1))
	fi
	printf '%-18s x %-18s first %6s ms, direct %6s ms, %s, lost %d\n' "$1" "$2" "${PAIR_FIRST_MS:--}" \
		"${PAIR_DIRECT_MS:--}" "${PAIR_HOW:-not connected}" "$PAIR_LOST"
	# Of several tries the worst: without a direct path, or the latest.
	if [ -z "${TABLE[$1 $2]:-}" ] || [ -z "$PAIR_DIRECT_MS" ] || [ "$PAIR_DIRECT_MS" -gt "${WORST[$1 $2]}" ]; then
		TABLE[$1 $2]="${PAIR_FIRST_MS:--} ${PAIR_DIRECT_MS:--} ${PAIR_HOW:-none}"
		WORST[$1 $2]=${PAIR_DIRECT_MS:-999999}
	fi
}

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

# least SECONDS: percent that have to be direct in that time.
least()
{
	case $1 in
	2) echo 99 ;;
	5) echo 90 ;;
	*) echo 95 ;;
	esac
}

# judge_tries A B: of few tries one may fail, where one may fail at all.
judge_tries()
{
	local seconds percent tried=${TRIED[$1 $2]:-0} good=${IN_TIME[$1 $2]:-0} may_fail
	read -r _ seconds <<<"$(pair_expects "$1" "$2")"
	[ -n "$seconds" ] && [ "$tried" -gt 0 ] || return 0
	percent=$(least "$seconds")
	may_fail=$((tried * (100 - percent) / 100))
	[ "$may_fail" -gt 0 ] || [ "$percent" = 99 ] || may_fail=1
	record nat-matrix "direct_in_time_$1_$2" "$(fraction "$good" "$tried")" '' ">= 0.$percent"
	check "$1-$2/direct_in_${seconds}_s_$percent%" "$good of $tried" [ $((good + may_fail)) -ge "$tried" ]
	echo "$1 x $2: $good of $tried within $seconds s"
}

pairs_begin "${KINDS[@]}"
for ((try = 1; try <= TRIES; try++)); do
	for pair in "${PAIRS[@]}"; do
		[ -z "$MINUTES" ] || [ "$SECONDS" -lt $((MINUTES * 60)) ] || break 2
		cell "${pair%:*}" "${pair#*:}" "$try"
	done
done

matrix 1 'ms to the first payload at both ends'
matrix 2 'ms to a direct path at both ends'
matrix 3 'how'
echo
if [ "$TRIES" != 1 ]; then
	for pair in "${PAIRS[@]}"; do judge_tries "${pair%:*}" "${pair#*:}"; done
fi
record nat-matrix cells "$cells" cells ''
record nat-matrix cells_connected_fraction "$(fraction "$connected" "$cells")" '' 1
record nat-matrix first_payload_max_ms "$slowest" ms '<= 1000'
record nat-matrix direct_possible_fraction "$(fraction "$direct" "$possible")" '' '>= 0.99'
lab_end
