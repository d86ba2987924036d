#!/usr/bin/env bash
# What links cost: a metered one carries only probes until the free one is silent or loses much, a backup only
# when both are gone, and no change loses anything. Quotas are counted, kept over restarts, and loud.
#
#    A eth0   -- wire: 10 ms, free             -- eth0 B
#    A wwan0  -- wire: 20 ms, metered, a quota -- eth1 B
#    A sat0   -- wire: 150 ms, backup          -- eth2 B
#
# Only A's configuration says what links cost; B is told.
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/wire.sh
. "$(dirname "$0")/lib/wire.sh"
lab_begin tun jq warpd warp netns/numbers netns/wire
lab_urgent

host A
host B
wire_link A eth0 B eth0 'delay 10ms'
WIRE_OPTIONS='-p -s 2' wire_link A wwan0 B eth1 'delay 20ms'
WIRE_OPTIONS='-p -s 3' wire_link A sat0 B eth2 'delay 150ms'

# member HOST PEER [POLICY]
member()
{
	INTERFACES="${3:-}" conf_direct "$1" "$2" <<-END
		  - name: data
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		state_directory: $LAB/$1.state
	END
}
# conf_A QUOTA...: of wwan0
conf_A()
{
	member A B "  policy:
    - { match: 'wwan.*', cost: metered$*, weight: 2 }
    - { match: 'sat.*', cost: backup }"
}
conf_A
member B A
start_warpd A B
connected_all() { wait_until 'connected A B 3 && connected B A 3' "${1:-10}"; }
check connects "not three live paths in 10 s" connected_all

bytes() { status A '.interfaces[] | select(.name == $i) | .tx_bytes + .rx_bytes' --arg i "$1"; }
iface() { status A '.interfaces[] | select(.name == $i) | '"$2" --arg i "$1"; }
is() { [ "$(iface "$1" "$2")" = "$3" ]; }
page() { warp -s "$LAB/A.sock" status; }

# flows NAME SECONDS: 500 payloads a second of 500 bytes, both ways, in the background; judge NAME: nothing lost.
RATE=500
flows()
{
	receive B "$1-there" udp:127.1.0.1:9001 -n $(($2 * RATE)) -i 1500
	receive A "$1-back" udp:127.1.0.1:9001 -n $(($2 * RATE)) -i 1500
	send_along A "$1-a" udp:127.1.0.1:9000 -n $(($2 * RATE)) -r $RATE -s 500
	send_along B "$1-b" udp:127.1.0.1:9000 -n $(($2 * RATE)) -r $RATE -s 500
}
judge()
{
	await "$1-there" 20
	await "$1-back" 20
	check "$1/nothing_lost_there" "$(told "$1-there")" all_once "$1-there"
	check "$1/nothing_lost_back" "$(told "$1-back")" all_once "$1-back"
}
rows_begin

# --- resting, taking over, giving back

for_seconds 2 true # sizes of datagrams are found out
# A free link that is silent while the machine stands still is relieved, rightly: once, not three times.
for try in 1 2 3; do
	flows rest$try 3
	before=$(bytes wwan0) free=$(bytes eth0)
	nap 2.5
	spent=$(($(bytes wwan0) - before)) free=$(($(bytes eth0) - free))
	judge rest$try
	[ "$spent" -ge 5000 ] || break
	wait_until 'is wwan0 .carries false' 15
done
check rests/bytes "$spent over wwan0, $free over eth0" [ "$spent" -lt 5000 -a "$free" -gt 1000000 ]
check rests/told "$(iface wwan0 '{cost, carries, need}' -c)" is wwan0 '.carries' false
check rests/page "$(page)" grep -q '^  wwan0: metered, rests, it is not needed' <(page)
check rests/B_knows "$(paths B)" status_is B '[.peers[].paths[] | select(.cost == "metered" and .resting)] | length == 1'

flows cut 4
nap 0.5
wire_set A eth0 both down
check_soon cut/metered_carries 'is wwan0 .need life && ! is sat0 .carries true' 3 '$(page)'
nap 0.5
wire_set A eth0 both up
check_soon back/metered_rests 'is wwan0 .carries false' 15 '$(page)'
judge cut
row policy_switch_lost $(($(said cut-there .lost) + $(said cut-back .lost))) payloads 0
row policy_switch_gap "$(said cut-there .longest_gap_ms)" ms '< 500'
check cut/gap "$(said cut-there .longest_gap_ms) ms" compare "$(said cut-there .longest_gap_ms)" '<' 2000

flows both 5
nap 0.5
wire_set A eth0 both down
wire_set A wwan0 both down
check_soon both/backup_carries 'is sat0 .need life' 5 '$(page)'
check both/page "$(page)" grep -q '^  sat0: backup, carries, for no cheaper link is sure to live' <(page)
nap 0.5
wire_set A eth0 both up
wire_set A wwan0 both up
check_soon both/backup_rests 'is sat0 .carries false && is wwan0 .carries false' 15 '$(page)'
judge both

# --- losses

flows lossy 20
wire_set A eth0 both loss 12%
check_soon lossy/metered_helps 'is wwan0 .need loss' 15 '$(page)'
check_soon lossy/page 'page | grep -q "for the free links lose too much"' 5 '$(page)'
wire_set A eth0 both loss 0%
for name in lossy-a lossy-b lossy-there lossy-back; do stop $name; done

# --- quotas: 1 MB is used up in a second

restart_A()
{
	stop A
	start_warpd A
	connected_all 5
}
conf_A ', monthly_quota: 1MB'
restart_A
wire_set A eth0 both down
flows quota 3
check_soon quota/is_used_up 'is wwan0 .quota.used_up true' 15 '$(iface wwan0 .quota -c)'
check quota/is_loud "$(page)" grep -q 'backup, .*; QUOTA USED UP: [0-9.]*MB of 1.0MB in 20' <(page)
check quota/is_logged "it is not" grep -q 'wwan0: the quota of this month, 0.001 GB, is used up' "$LAB/A.log"
judge quota
wire_set A sat0 both down
check_soon quota/only_link_carries 'is wwan0 .need life' 3 '$(page)'
check quota/says_so "$(page)" grep -q 'carries all the same' <(page)
used=$(iface wwan0 .quota.used)
wire_set A eth0 both up
wire_set A sat0 both up
restart_A
check quota/outlives_a_restart "$(iface wwan0 .quota -c), before $used" \
	is wwan0 ".quota.used >= $used and .quota.used_up" true
stop A KILL
start_warpd A
check quota/outlives_a_crash "$(iface wwan0 .quota -c), before $used" is wwan0 ".quota.used >= $used" true

conf_A ', monthly_quota: 1MB, over_quota: stop'
warp -s "$LAB/A.sock" reload
wire_set A eth0 both down
wire_set A sat0 both down
nap 0.5
before=$(bytes wwan0)
send A udp:127.1.0.1:9000 -n 500 -r 500 -s 500 >/dev/null
spent=$(($(bytes wwan0) - before))
check stop/carries_nothing "$spent bytes" [ $spent -lt 20000 ]
check stop/page "$(page)" grep -q '^  wwan0: barred, carries nothing more; QUOTA USED UP' <(page)
wire_set A eth0 both up
wire_set A sat0 both up

# Who has used up a quota may take it away.
sed -i "/match: 'wwan/d" "$LAB/A.yaml"
check taken_away "the reload fails" warp -s "$LAB/A.sock" reload
check_soon taken_away/is_used_again 'is wwan0 .cost free' 3 '$(page)'
conf_A ', monthly_quota: 1MB'

stop A
sed -i '/^wwan0/s/ 1/ 3/' "$LAB/A.state/quota"
start_warpd A
check damaged/is_told "$(tail -n 3 "$LAB/A.log")" grep -q 'quota: line [0-9]* is damaged: the data volume of wwan0 is counted from zero' "$LAB/A.log"
check_soon damaged/counts_from_zero 'is wwan0 ".quota.used < 100000" true' 3 '$(iface wwan0 .quota -c)'
lab_end
