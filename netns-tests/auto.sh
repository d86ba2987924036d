#!/usr/bin/env bash
# A tunnel with a target, over six histories of two links: next to nothing is lost or late, at less than
# copies on both links cost, and people are told what was chosen, why, and what each path was worth.
#
#    A eth0 -- wire: 10 ms -- eth0 B
#    A eth1 -- wire: 10 ms -- eth1 B
#
# Delays are of the machine as well: a history that did not go well is played again, three times in all.
# long_auto.sh has samples that are long enough for the target itself.
# timeout: 120
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
# shellcheck source=netns-tests/lib/histories.sh
. "$(dirname "$0")/lib/histories.sh"
lab_begin tun jq netns/wire netns/numbers warpd warp
lab_urgent

SECONDS_EACH=4
histories_begin
# At most one in a thousand, for fewer cannot be told from so few payloads; and what the machine held up:
# then copies on both links were late, too.
may_miss() { echo $((HISTORY_PAYLOADS / 1000 + 2 * LATE_COPIES)); }
histories_rows_begin
for name in "${HISTORIES[@]}"; do
	for _ in 1 2 3; do
		play_history "$name" $SECONDS_EACH
		! went_well || break
	done
	history_rows
	check "${name}_residual" "missed $MISSED_AUTO of $HISTORY_PAYLOADS ($(told "auto-$name"), replicate missed $MISSED_COPIES)" went_well
	check "${name}_overhead" "$OVERHEAD_AUTO; replicate $OVERHEAD_COPIES" compare "$OVERHEAD_AUTO" '<' "$OVERHEAD_COPIES"
	check "${name}_at_most_once" "$(told "auto-$name")" [ "$(said "auto-$name" '.duplicated + .corrupt')" = 0 ]
done
histories_rows_end

# --- what people see ---
people=$(warp -s "$LAB/A.sock" status)
check says_the_target "$people" grep -q 'target: at most 0.01 % lost or later than 80' <<<"$people"
check says_what_and_why "$people" grep -q 'the cheapest that meets the target\|TARGET MET UNLESS\|TARGET NOT MET\|little is known' <<<"$people"
check says_the_value "$people" grep -Eq 'eth[01] to .* saved .* payloads for .*B sent' <<<"$people"
check json_says_it "$(tunnel auto .auto)" status_is A '.tunnels[] | select(.name == "auto") | .auto.plans[0] |
	.peer == "B" and .reports and (.mechanism | length > 0) and .saved > 0'
check json_says_the_value "$(paths A)" status_is A '[.peers[].paths[].tx_saved] | add > 0'
lab_end
