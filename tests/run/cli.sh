#!/usr/bin/env bash
# The programs as a person meets them: keys, exit statuses, help, configurations, and the status of
# a daemon that is played by a script. cli.sh [FOLDER OF THE PROGRAMS]
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

build=${1:-build}
warp=$(realpath "$build")/warp
work=$(mktemp -d) || exit 2
failed=0
daemon=
trap '[ -z "$daemon" ] || kill "$daemon"; rm -rf "$work"' EXIT
unset WARP_SOCKET
umask 077

# verdict NAME STATUS [WHY]: the result of the command before it.
verdict()
{
	if [ "$2" = 0 ]; then
		ok "cli/$1"
	else
		not_ok "cli/$1" "${3:-see below}" "$work/out"
		failed=1
	fi
}

# run COMMAND...: its output (both kinds) goes to $work/out, its status to $status.
run()
{
	timeout 20 "$@" >"$work/out" 2>&1 </dev/null
	status=$?
}

# expect NAME STATUS PATTERN COMMAND...: exit status and something in the output.
expect()
{
	local name=$1 wanted=$2 pattern=$3
	shift 3
	run "$@"
	if [ "$status" != "$wanted" ]; then
		verdict "$name" 1 "exit status $status, not $wanted"
	else
		[ -z "$pattern" ] || grep -q -e "$pattern" "$work/out"
		verdict "$name" $? "nothing like '$pattern' in the output"
	fi
}

# --- keys -----------------------------------------------------------------------------------------

"$warp" genkey >"$work/key" 2>"$work/out"
[ "$(wc -c <"$work/key")" = 45 ]
verdict genkey-prints-one-line $?
[ "$("$warp" genkey)" != "$("$warp" genkey)" ]
verdict genkey-is-new-each-time $?
if command -v wg >/dev/null; then
	[ "$("$warp" pubkey <"$work/key")" = "$(wg pubkey <"$work/key")" ]
	verdict pubkey-agrees-with-wg $?
	wg genkey >"$work/wgkey"
	[ "$("$warp" pubkey <"$work/wgkey")" = "$(wg pubkey <"$work/wgkey")" ]
	verdict keys-of-wg-work $?
else
	skip cli/pubkey-agrees-with-wg "wg is not installed"
fi
[ "$("$warp" genpsk | base64 -d | wc -c)" = 32 ]
verdict genpsk-is-32-bytes $?
(umask 022 && "$warp" genkey >"$work/open") 2>"$work/out"
grep -q 'group or others may read' "$work/out"
verdict genkey-warns-of-an-open-file $?
echo nonsense | "$warp" pubkey >"$work/out" 2>&1
[ $? = 2 ] && grep -q 'not a private key' "$work/out"
verdict pubkey-refuses-nonsense $?
"$warp" genkey >/dev/full 2>"$work/out"
[ $? = 1 ] && grep -q 'cannot write' "$work/out"
verdict a-full-disk-is-noticed $?

# --- help and mistakes ----------------------------------------------------------------------------

for program in warp warpd warp-map; do
	if [ -x "$build/$program" ]; then
		expect "$program-help" 0 '^usage: ' "$build/$program" --help
	else
		skip "cli/$program-help" "it is not built"
	fi
done
for command in genkey pubkey genpsk check example status watch events reload version; do
	expect "$command-help" 0 "^usage: warp $command" "$warp" "$command" --help
done
expect no-command 2 '^usage: ' "$warp"
expect unknown-command 2 "unknown command 'statsu'; did you mean 'status'" "$warp" statsu
expect unknown-option 2 "unknown option '--nonsense'" "$warp" status --nonsense
expect option-of-another-command 2 "unknown option '--json'" "$warp" reload --json
expect missing-value 2 'missing after' "$warp" status --socket
expect too-many-words 2 "extra" "$warp" genkey extra
expect version 0 "^warp $(make -s print-version)\$" "$warp" version -s "$work/none"

# --- configurations -------------------------------------------------------------------------------

"$warp" example >"$work/warp.yaml"
expect example-passes-check 0 'warp.yaml: ok$' "$warp" check "$work/warp.yaml"
"$warp" example --map >"$work/map.yaml"
expect map-example-passes-check 0 'map.yaml: ok$' "$warp" check --map "$work/map.yaml"
! grep -q '{[a-z]*}' "$work/warp.yaml" "$work/map.yaml"
verdict examples-have-all-keys $?
[ "$("$warp" pubkey < <(sed -n 's/^private_key: //p' "$work/warp.yaml"))" = \
	"$(sed -n "s/.*public key, for the others: //p" "$work/warp.yaml")" ]
verdict the-example-tells-its-own-public-key $?
chmod 644 "$work/warp.yaml"
expect open-configuration-is-refused 2 'do: chmod 600' "$warp" check "$work/warp.yaml"
expect check-says-where 2 'map.yaml:[0-9]*:1: unknown key' "$warp" check "$work/map.yaml"
expect check-without-file 2 'No such file' "$warp" check "$work/none.yaml"
expect check-of-nothing 2 'missing' "$warp" check

# --- a daemon, as a script ------------------------------------------------------------------------

expect nobody-listens 1 'warpd is not running' "$warp" status -s "$work/none"
expect nobody-listens-for-reload 1 'warpd is not running' "$warp" reload -s "$work/none"
expect nobody-listens-for-events 1 'warpd is not running' "$warp" events -s "$work/none"
expect nobody-listens-for-watch 1 'warpd is not running' "$warp" watch -s "$work/none"
if ! command -v socat >/dev/null; then
	skip cli/status "socat is not installed"
	exit $failed
fi

# Answers each question with the file of its name in $work.
cat >"$work/answer" <<EOF
#!/bin/sh
read -r question
exec cat "$work/\$question"
EOF
chmod 700 "$work/answer"
# At this level it says when it listens, and a few lines to each question.
exec {said}< <(exec socat -d -d "UNIX-LISTEN:$work/sock,fork" "EXEC:$work/answer" 2>&1)
daemon=$!
while read -r -t 10 -u "$said" line && [[ $line != *listening* ]]; do :; done

key=$("$warp" pubkey <"$work/key")
cat >"$work/status" <<EOF
{"version": "0.1.0", "public_key": "$key", "crypto": "ipsec-mb", "uptime": 7384,
 "interfaces": [{"name": "eth0", "address": "192.0.2.10:40123", "state": "up", "mtu": 1500,
   "tx_packets": 9, "tx_bytes": 1234567, "rx_packets": 2, "rx_bytes": 99, "send_errors": 0,
   "nat": {"verdict": "natted", "mapping": "address-and-port-dependent", "dependent": "yes",
     "filtering": "address-and-port-dependent", "preserves_ports": "no",
     "port_step": "independent", "port_step_size": 1, "hairpin": "unknown",
     "lifetime_min": 4.6, "lifetime_max": 6.31},
   "port_mapping": {"protocol": "nat-pmp", "external": "203.0.113.4:40123", "expires": 3599.5,
     "verified": true},
   "maps": [{"map": "198.51.100.1:13116", "registered": true, "observed": "203.0.113.4:4011",
     "age": 3}]}],
 "maps": [{"address": "198.51.100.1:13116", "public_key": "$key", "state": "connected", "age": 3}],
 "peers": [{"name": "gcs4", "public_key": "$key", "state": "connected", "cipher": "aes-256-gcm",
   "session_age": 43, "rtt_ms": 12.34, "allowed_ips": ["10.44.0.2/32"],
   "registered": [{"observed": "203.0.113.9:333", "lan": "10.0.0.2:333"}],
   "overrides": [{"interface": "eth0", "local": "192.0.2.10:40123",
     "registered": "203.0.113.9:333", "override": "203.0.113.9:777"}],
   "pairs": [{"interface": "eth0", "local": "192.0.2.10:40123", "remote": "203.0.113.9:333",
     "state": "direct", "strategy": "probe", "possible": true, "rounds": 0},
    {"interface": "wwan0", "local": "192.0.2.11:40123", "remote": "203.0.113.9:333",
     "state": "relayed", "strategy": "relay", "possible": false, "rounds": 1},
    {"interface": "eth1", "local": "192.0.2.12:40123", "remote": "203.0.113.9:333",
     "state": "trying", "strategy": "prediction", "possible": true, "rounds": 2}],
   "paths": [{"interface": "eth0", "local": "192.0.2.10:40123", "remote": "203.0.113.9:777",
     "origin": "override", "state": "live", "rtt_ms": 12.34, "rtt_var_ms": 1.5, "mtu": 1452,
     "tx_sent": 12, "tx_bytes": 12345678, "tx_lost": 1, "tx_loss": 0.012, "rx_first": 1,
     "rx_first_bytes": 2345, "rx_duplicate": 3, "rx_duplicate_bytes": 34567, "rx_lost": 0,
     "rx_loss": 0.5, "tx_rate_bps": 12345678, "rx_rate_bps": 800,
     "stripe": {"used": true, "mode": "cruise", "capacity_bps": 97200000, "queue_ms": 2.13,
       "base_rtt_ms": 20.1, "loss": 0, "loss_burst": 1, "under_way": 331000, "window": 430000}},
    {"interface": "wwan0", "local": "[2001:db8::1]:40123",
     "remote": "[2001:db8:1234:5678:9abc:def0:1234:5678]:51820", "origin": "map",
     "state": "probing", "rtt_ms": null, "tx_loss": 0, "rx_loss": 0}]}],
 "tunnels": [{"name": "video", "id": 7, "gate": "udp 127.1.0.1:9000", "mode": "replicate",
   "copies": 0, "peers": ["gcs4"], "tx_payloads": 123, "tx_bytes": 123456, "tx_copies": 246,
   "rx_payloads": 5, "rx_bytes": 55, "rx_lost": 1, "pending": 2,
   "impair": "delay 20ms loss 1%", "impair_dropped": 12,
   "ordered": true, "reordered": 1234, "late": 0, "waiting": 6,
   "drops": {"deadline": 4, "no_path": 0}}],
 "drops": {"bad_mac": 3}}
EOF
echo '{"ok": true}' >"$work/reload"
echo '{"version": "9.8.7"}' >"$work/version"
export WARP_SOCKET=$work/sock

expect status 0 "^node $key\$" "$warp" status
cp "$work/out" "$work/page"
# shown NAME PATTERN: in the page of the status.
shown()
{
	cp "$work/page" "$work/out"
	grep -q -e "$2" "$work/page"
	verdict "status-shows-$1" $? "nothing like '$2'"
}
shown uptime 'up 2h 3min'
shown crypto 'ciphers of ipsec-mb$'
shown interface 'eth0  *192.0.2.10:40123  *up  *1500  *1.2MB  *99B'
shown port-mapping 'mapped to 203.0.113.4:40123  *by nat-pmp, verified'
shown how-the-map-sees-it 'seen as 203.0.113.4:4011  *by 198.51.100.1:13116'
shown nat '^  eth0 192.0.2.10:40123: natted$'
shown nat-behaviour 'mapping address-and-port-dependent, filtering address-and-port-dependent$'
shown nat-ports '^    ports independent (+1), lifetime 4.6 to 6.3s$'
shown map '198.51.100.1:13116  connected  3s'
shown peer 'peer gcs4: connected, RTT 12.3ms, aes-256-gcm, session 43s'
shown override 'override on eth0: 203.0.113.9:333 is 203.0.113.9:777'
shown hopeless-pair '^  no direct path from wwan0 to 203.0.113.9:333: nothing suits both NATs$'
shown pair-under-way '^  no direct path from eth1 to 203.0.113.9:333: trying (prediction)$'
shown path '203.0.113.9:777  *eth0  *override  *live  *12.3ms  *1.2%/50.0%  *12.3M/800'
shown path-without-answer 'wwan0  *map  *probing  *- '
shown stripe '^  eth0 to 203.0.113.9:777 stripes 97.2Mbit/s, 2.1ms queue, 331kB of 430kB under way$'
shown tunnel 'tunnel video: id 7, udp 127.1.0.1:9000, replicate on all paths, in order'
shown payloads 'sent 123 payloads (123kB) as 246 copies, 2 waiting'
shown impairment 'IMPAIRED ON PURPOSE (12 payloads dropped by that):$'
shown what-impairs '^    delay 20ms loss 1%$'
shown what-is-put-in-order 'received 5 payloads (55B), 1 lost, 1.2k reordered, 6 waiting$'
shown drop-reasons 'dropped: deadline 4$'
shown all-drops 'dropped: bad_mac 3$'
[ "$(awk '{ if (length > max) max = length } END { print max }' "$work/page")" -le 100 ]
verdict status-fits-100-columns $?
"$warp" status --json >"$work/out" 2>&1 && python3 - "$work/out" "$work/status" <<'EOF'
import json, sys
sys.exit(json.load(open(sys.argv[1])) != json.load(open(sys.argv[2])))
EOF
verdict status-json-is-complete $?
expect socket-option-wins 1 'warpd is not running' "$warp" status --socket "$work/none"

timeout -s INT 3 "$warp" watch >"$work/out" 2>&1
[ $? != 1 ] && [ "$(grep -c '^node ' "$work/out")" -ge 2 ]
verdict watch-repeats-until-interrupted $?
expect reload 0 '' "$warp" reload
expect version-of-the-daemon 0 '^warpd 9.8.7$' "$warp" version
echo '{"ok": false, "error": "/etc/warp/warp.yaml:3:1: unknown key"}' >"$work/reload"
expect reload-of-a-bad-file 2 'warp.yaml:3:1: unknown key' "$warp" reload

echo '{"interfaces": [{}], "maps": [{}], "peers": [{"paths": [{}]}], "tunnels": [{}]}' >"$work/status"
expect status-of-the-unknown 0 'tunnel -: id -, -, - on all paths' "$warp" status
! grep -qi nan "$work/out"
verdict the-unknown-is-a-dash $?

# malformed NAME ANSWER PATTERN
malformed()
{
	printf '%b' "$2" >"$work/status"
	expect "status-$1" 1 "$3" "$warp" status
}
malformed empty '' 'not JSON'
malformed garbage 'hello' 'not JSON'
malformed cut '{"peers": [' 'not JSON'
malformed list '[1]' 'not a JSON object'
malformed wrong-type '{"peers": 5}' "'peers' is not a list"
malformed wrong-number '{"uptime": "long"}' "'uptime' is not a number"
malformed wrong-item '{"peers": ["gcs4"]}' 'not an object'
malformed escape '{"version": "\\u001b[2J"}' 'control characters'
malformed escape-in-a-reason '{"drops": {"a\\u009bb": 1}}' 'control characters'
malformed deep "$(printf '[%.0s' {1..100000})" 'not JSON'
exit $failed
