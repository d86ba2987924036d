#!/usr/bin/env bash
# A tunnel that stripes: TCP through warp0 gets what both links carry together, even or not, also when one
# loses 1 %; a ping beside it stays quick; a link that goes silent is left at once and taken again.
#
#    A eth0 -- wire -- eth0 B
#    A eth1 -- wire -- eth1 B
#
# Rates are of this machine as well: what is too slow is tried again, three times in all.
# timeout: 90
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
# shellcheck source=netns-tests/lib/stripe.sh
. "$(dirname "$0")/lib/stripe.sh"
lab_begin tun jq iperf3 ping netns/wire netns/numbers warpd warp

stripe_begin
stripe_measure even 'delay 10ms rate 100mbit' 'delay 10ms rate 100mbit' 200 0.9
lab_end
