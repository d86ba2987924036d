#!/usr/bin/env bash
# `impair`: the gates of A are bad on purpose, as told, and as loud as told; those of B are not.
#
#    A eth0, eth1 --+- internet -+-- eth0, eth1 B
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin tun jq ping warpd warp warp-map netns/numbers

lab_internet
two_hosts
start_map
conf_pair

# impair TEXT: of both gates of A; nothing, when it is empty.
plain=$(<"$LAB/A.yaml")
impair()
{
	printf '%s\n' "$plain" | sed "/^  - name: \(net\|video\)/a\\    ${1:+impair: \"$1\"}" >"$LAB/A.yaml"
}
reload() { warp -s "$LAB/A.sock" reload; }
page() { warp -s "$LAB/A.sock" status; }

# rtt: the median round trip over warp0, ms.
rtt()
{
	run_in A ping -n -c 20 -i 0.1 -W 1 10.44.0.2 | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n |
		awk '{ t[NR] = $1 } END { print (NR > 14 ? t[int(NR / 2)] : 1000) }'
}

start_warpd A B
check connects "not in 5 s" wait_until 'connected A B && connected B A' 5
plain_rtt=$(rtt)
record plain rtt "$plain_rtt" ms ''
check off/rtt "$plain_rtt ms" compare "$plain_rtt" '<' 40
check off/not_in_status "$(page)" not grep -q IMPAIRED <(page)
check off/null "not null" status_is A '[.tunnels[].impair] == [null, null]'
check off/not_in_log "it is" not grep -q impaired "$LAB/A.log"

impair 'delay 60ms'
check check_warns "it does not" grep -q "A.yaml:.*tunnel 'net' is impaired on purpose (delay 60ms)" \
	<(warp check "$LAB/A.yaml" 2>&1)
check reload refused reload
check one_line_in_log "$(grep -c impaired "$LAB/A.log")" [ "$(grep -c 'tunnel net: impaired on purpose' "$LAB/A.log")" = 1 ]
check in_status "$(page)" grep -q 'IMPAIRED ON PURPOSE' <(page)
check in_json "not so" status_is A '[.tunnels[].impair] == ["delay 60ms", "delay 60ms"]'
check comes_back "no answer" wait_until 'run_in A ping -c 1 -W 1 -q 10.44.0.2' 5

# One direction only; judged with room for a busy machine, which may be late but not early.
delayed=$(rtt)
record tun rtt_with_60ms "$delayed" ms ''
check tun/delayed "$delayed ms" compare "$delayed" '>=' 60
check tun/no_more_than_told "$delayed ms" compare "$delayed" '<' 85
receive B udp udp:127.1.0.1:9001 -n 1000 -i 3000
send A udp:127.1.0.1:9000 -n 1000 -r 1000 >"$LAB/sent"
await udp 10
check udp/all_once "$(told udp)" all_once udp
check udp/delayed "$(said udp .delay_us)" compare "$(said udp .delay_us.p50)" '>=' 60000
record udp delay_p50 "$(said udp .delay_us.p50)" us ''

# Figures change without a new gate: the interface stays.
index() { run_in A ip -o link show warp0 | cut -d : -f 1; }
before=$(index)
impair 'loss 10% duplicate 5%'
check figures_reload refused reload
check interface_stays "a new one" [ "$(index)" = "$before" ]
receive B lossy udp:127.1.0.1:9001 -n 5000 -i 3000
send A udp:127.1.0.1:9000 -n 5000 -r 5000 >"$LAB/sent"
await lossy 10
lost=$(said lossy .lost)
record udp lost "$lost" "of 5000" '394 to 606'
check udp/lost "$lost of 5000, not 394 to 606" [ "$lost" -ge 394 -a "$lost" -le 606 ]
check udp/told_apart "not as many" [ "$(status A '.tunnels[] | select(.name == "video") | .impair_dropped')" = "$lost" ]
twice=$(said lossy .duplicated)
check udp/twice "$twice of 4500, not 150 to 300" [ "$twice" -ge 150 -a "$twice" -le 300 ]
# What B sends is as ever.
receive A back udp:127.1.0.1:9001 -n 2000 -i 3000
send B udp:127.1.0.1:9000 -n 2000 -r 2000 >"$LAB/sent"
await back 10
check other_direction/all_once "$(told back)" all_once back

impair ''
check off_again refused reload
check off_again/null "not null" status_is A '[.tunnels[].impair] == [null, null]'
check off_again/pings "no answer" wait_until 'run_in A ping -c 1 -W 1 -q 10.44.0.2' 5
receive B clean udp:127.1.0.1:9001 -n 2000 -i 3000
send A udp:127.1.0.1:9000 -n 2000 -r 2000 >"$LAB/sent"
await clean 10
check off_again/all_once "$(told clean)" all_once clean

impair 'delay 20'
check mistake "accepted" not reload
check mistake/changes_nothing "it did" status_is A '[.tunnels[].impair] == [null, null]'
lab_end
