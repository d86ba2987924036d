#!/usr/bin/env bash
# A tunnel with a target, over six histories of two links, each long enough to tell one in ten thousand: the
# target itself is met, at less than copies on both links cost.
#
#    A eth0 -- wire: 10 ms -- eth0 B
#    A eth1 -- wire: 10 ms -- eth1 B
#
# HISTORY="bursty fading" chooses some of them.
# Delays are of the machine as well: a history that did not go well is played again, three times in all.
# timeout: 1500
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
# shellcheck source=netns-tests/lib/histories.sh
. "$(dirname "$0")/lib/histories.sh"
lab_begin tun jq netns/wire netns/numbers warpd warp
lab_urgent

SECONDS_EACH=${SECONDS_EACH:-60}
histories_begin
# As chance has it, three standard deviations; and what the machine held up: then copies on both links were late, too.
may_miss()
{
	awk -v n=$((HISTORY_PAYLOADS / 10000)) -v late="$LATE_COPIES" 'BEGIN { print int(n + 3 * sqrt(n) + 2 * late) }'
}
histories_rows_begin
for name in "${HISTORIES[@]}"; do
	for _ in 1 2 3; do
		play_history "$name" "$SECONDS_EACH"
		! went_well || break
	done
	history_rows
	check "${name}_residual" "missed $MISSED_AUTO of $HISTORY_PAYLOADS ($(told "auto-$name"), replicate missed $MISSED_COPIES)" went_well
	check "${name}_overhead" "$OVERHEAD_AUTO; replicate $OVERHEAD_COPIES" compare "$OVERHEAD_AUTO" '<' "$OVERHEAD_COPIES"
done
histories_rows_end
lab_end
