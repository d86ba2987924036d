# shellcheck shell=bash
# What is measured of a system that is up. Each function appends samples to $SAMPLES, one JSON object each.

# run.sh sets SYSTEM, ROUND, SAMPLES and LADDERS.
# shellcheck disable=SC2153

# sample METRIC VALUE: of the SYSTEM and ROUND that run.
sample()
{
	printf '{"system": "%s", "round": %s, "metric": "%s", "value": %s}\n' "$SYSTEM" "$ROUND" "$1" \
		"$2" >>"$SAMPLES"
}

# --- CPU and memory of the daemons of both ends -----------------------------------------------------

# Hundredths of a second so far, user and system.
cpu_ticks()
{
	local name ticks=0 fields
	for name in "${DAEMONS[@]}"; do
		fields=$(sed 's/^.*) //' "/proc/$(pid "$name")/stat" | cut -d ' ' -f 12,13)
		ticks=$((ticks + ${fields% *} + ${fields#* }))
	done
	echo $ticks
}

# The larger end, at its largest.
peak_rss()
{
	local name
	for name in "${DAEMONS[@]}"; do
		sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(pid "$name")/status"
	done | sort -n | tail -n 1 | awk '{ printf "%.2f", $1 / 1024 }'
}

# --- TCP --------------------------------------------------------------------------------------------

# iperf METRIC STREAMS [OPTION...]: Mbit/s at the receiver once the first half second is over.
iperf()
{
	local server=iperf3-$((++IPERFS)) json=$LAB/iperf.json receiver ticks bytes mbps
	receiver=$LAB/$server.log
	[[ " ${*:3} " != *" -R "* ]] || receiver=$json
	spawn B "$server" iperf3 -s -1 -i 0.5 -J -B "$TARGET"
	wait_until 'listens B tcp 5201' 5
	ticks=$(cpu_ticks)
	run_in A timeout $((TCP_SECONDS + 10)) iperf3 -c "$TARGET" -P "$2" -t "$TCP_SECONDS" -i 0.5 \
		-J "${@:3}" >"$json"
	ticks=$(($(cpu_ticks) - ticks))
	await "$server" 3 || stop "$server"
	read -r mbps bytes < <(jq -r '.intervals // [] | [.[].sum] | (map(select(.start > 0.45)) |
		(map(.bytes) | add // 0) * 8 / 1e6 / (map(.seconds) | add // 1)), (map(.bytes) | add // 0)' \
		"$receiver" 2>/dev/null | tr '\n' ' ')
	rm -f "$LAB/$server.log"
	if [ -z "${mbps:-}" ] || [ "$mbps" = 0 ]; then
		complain "$1: $(jq -r '.error // "nothing arrived"' "$json" 2>/dev/null)"
		return 1
	fi
	sample "$1" "$mbps"
	CPU_TICKS=$((CPU_TICKS + ticks)) CPU_BYTES=$((CPU_BYTES + bytes))
}
IPERFS=0
CPU_TICKS=0
CPU_BYTES=0

# One stream each way; with pings beside the first one.
measure_tcp1()
{
	local count
	count=$(awk -v t="$TCP_SECONDS" 'BEGIN { printf "%d", (t - 0.6) * 1000 / 5 }')
	: >"$LAB/ping.log"
	# Once the stream has got going.
	spawn A ping sh -c "until ss -Htni state established 'dport = 5201' | grep -q 'bytes_acked:[0-9]\{6\}'; do
		sleep 0.02; done; exec ping -n -i 0.005 -c $count -W 1 $TARGET"
	iperf tcp1_up 1
	await ping 10
	ping_samples ping_loaded "$count"
	iperf tcp1_down 1 -R
}

measure_tcp4()
{
	iperf tcp4_up 4
	[[ " $(tests_of "$SYSTEM") " != *" ping "* ]] || iperf tcp4_down 4 -R
}

# --- round trips ------------------------------------------------------------------------------------

# ping_samples METRIC COUNT: of ping.log, in microseconds. What was not answered counts as a second.
ping_samples()
{
	local p50 p99
	read -r p50 p99 < <(sed -n 's/.* time=\([0-9.]*\) ms.*/\1/p' "$LAB/ping.log" | sort -g |
		awk -v n="$2" '{ t[NR] = $1 * 1000 }
		END { while (NR < n) t[++NR] = 1e6; print t[int(n / 2) + 1], t[int(n * 0.99) + 1] }')
	sample "$1_p50" "$p50"
	sample "$1_p99" "$p99"
}

measure_ping()
{
	: >"$LAB/ping.log"
	spawn A ping ping -n -i 0.005 -c "$PINGS" -W 1 "$TARGET"
	await ping 20
	ping_samples ping_idle "$PINGS"
}

# blast MODE OPTION...: one line of JSON in $LAB/blast.json.
blast()
{
	local mode=$1 ends
	shift
	if [ "$SYSTEM" = warp-gate ]; then
		ends=(-a 127.1.0.1:9001 -b 127.1.0.1:9001 -d 127.1.0.1:9000 -e 127.1.0.1:9000)
	else
		ends=(-a "$SOURCE:9001" -b "$TARGET:9001" -d "$TARGET:9001" -e "$SOURCE:9001")
	fi
	timeout 120 "$WARP_BUILD/netns/blast" "$mode" "/run/netns/$(ns A)" "/run/netns/$(ns B)" \
		"${ends[@]}" "$@" >"$LAB/blast.json"
}

# For gates, which no ping passes: the same question by UDP.
measure_rtt()
{
	blast rtt -s 64 -n "$PINGS" -i 5000 || { complain "rtt"; return 1; }
	sample ping_idle_p50 "$(jq .p50 "$LAB/blast.json")"
	sample ping_idle_p99 "$(jq .p99 "$LAB/blast.json")"
}

# --- UDP --------------------------------------------------------------------------------------------

# The first round looks for the peak from far below, later ones from half of what the first one found.
measure_udp()
{
	local size name
	for size in 200 1400; do
		name=udp$size
		blast ladder -s $size -t "$UDP_MS" -r "${LADDER[$SYSTEM/$size]:-25000}" ||
			{ complain "$name"; return 1; }
		LADDER[$SYSTEM/$size]=$(jq '.peak / 2 | ceil' "$LAB/blast.json")
		jq -c --arg s "$SYSTEM" --argjson r "$ROUND" --argjson size $size \
			'{system: $s, round: $r, size: $size} + .' "$LAB/blast.json" >>"$LADDERS"
		sample ${name}_peak "$(jq '.peak / 1000' "$LAB/blast.json")"
		sample ${name}_lossless "$(jq '.lossless / 1000' "$LAB/blast.json")"
		sample ${name}_goodput "$(jq ".peak * $size * 8 / 1e6" "$LAB/blast.json")"
		sample ${name}_overload2 "$(jq '.overload2 / ([.peak, 1] | max)' "$LAB/blast.json")"
		sample ${name}_overload4 "$(jq '.overload4 / ([.peak, 1] | max)' "$LAB/blast.json")"
		# How many times the peak could be offered, where two and four were asked.
		sample ${name}_offered2 "$(jq '.offered2 / ([.peak, 1] | max)' "$LAB/blast.json")"
		sample ${name}_offered4 "$(jq '.offered4 / ([.peak, 1] | max)' "$LAB/blast.json")"
	done
}
declare -A LADDER=()

# --- in the end -------------------------------------------------------------------------------------

measure_cost()
{
	[ $CPU_BYTES = 0 ] || sample cpu_per_gbit \
		"$(awk -v t=$CPU_TICKS -v b=$CPU_BYTES -v hz="$(getconf CLK_TCK)" \
			'BEGIN { printf "%.4f", t / hz / (b * 8 / 1e9) }')"
	sample rss "$(peak_rss)"
}

# measure_system: all tests of SYSTEM, cost last.
measure_system()
{
	local test
	CPU_TICKS=0 CPU_BYTES=0
	for test in $(tests_of "$SYSTEM"); do "measure_$test"; done
}
