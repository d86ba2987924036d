# From samples {system, round, metric, value} (slurped) to rows for bench.jsonl (--arg output rows), or
# to the table and the ratios for people (--arg output table). The best rival is the one with the best
# median; the best of each single round would be the luckiest of several, which no system can match. Ratios
# are made within a round, where the machine was the same for both, then the median of the rounds is taken.

def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

# Four significant digits, as far as they go.
def rounded: if . == 0 then 0 else . as $x | (4 - 1 - ($x | fabs | log10 | floor)) as $d
	| pow(10; $d) as $p | ($x * $p | round) / $p end;

def units: {
	tcp1_up: "Mbit/s", tcp1_down: "Mbit/s", tcp1: "Mbit/s", tcp4_up: "Mbit/s", tcp4_down: "Mbit/s",
	udp200_peak: "kpps", udp1400_peak: "kpps", udp200_lossless: "kpps", udp1400_lossless: "kpps",
	udp200_goodput: "Mbit/s", udp1400_goodput: "Mbit/s",
	ping_idle_p50: "us", ping_idle_p99: "us", ping_loaded_p50: "us", ping_loaded_p99: "us",
	cpu_per_gbit: "s/Gbit", rss: "MiB" };
def unit($metric): units[$metric] // "ratio";

# One direction and the other are the same thing twice.
def with_means: . + [group_by([.system, .round])[]
	| select(any(.metric == "tcp1_up") and any(.metric == "tcp1_down"))
	| {system: .[0].system, round: .[0].round, metric: "tcp1",
	   value: (map(select(.metric == "tcp1_up" or .metric == "tcp1_down").value) | add / 2)}];

with_means as $samples
| ($samples | map({key: "\(.system)/\(.metric)/\(.round)", value: .value}) | from_entries) as $by
| ([$samples[].round] | unique) as $rounds
| def value($system; $metric; $round): $by["\($system)/\($metric)/\($round)"];
  def values($system; $metric): [$rounds[] | value($system; $metric; .) // empty];
  ["wireguard-go", "fastd"] as $fast
| ["wireguard-go", "fastd", "openvpn", "tinc"] as $rivals

# The ratios: of what, to whose best (max or min of them), goal.
| [
	{name: "tcp1_aes_vs_best_rival", of: "warp", metric: "tcp1", to: $fast, best: "max", goal: ">= 8"},
	{name: "tcp1_sodium_aes_vs_best_rival", of: "warp-sodium", metric: "tcp1", to: $fast, best: "max", goal: ">= 5"},
	{name: "tcp1_chacha_vs_best_rival", of: "warp-chacha", metric: "tcp1", to: $fast, best: "max", goal: ">= 4"},
	{name: "tcp1_vs_raw", of: "warp", metric: "tcp1", to: ["raw"], best: "max", goal: ">= 0.35"},
	{name: "replicate2_vs_single", of: "warp-2path", metric: "tcp1", to: ["warp"], best: "max", goal: ">= 0.8"},
	{name: "replicate4_vs_single", of: "warp-4path", metric: "tcp1", to: ["warp"], best: "max", goal: ">= 0.55"},
	{name: "udp200_vs_best_rival", of: "warp", metric: "udp200_peak", to: $rivals, best: "max", goal: ">= 3"},
	{name: "udp200_overload2_vs_peak", of: "warp", metric: "udp200_overload2", goal: ">= 0.9"},
	{name: "udp200_overload4_vs_peak", of: "warp", metric: "udp200_overload4", goal: ">= 0.9"},
	{name: "ping_idle_vs_best_rival", of: "warp", metric: "ping_idle_p50", to: $rivals, best: "min", goal: "<= 1"},
	{name: "ping_loaded_p99_vs_best_rival", of: "warp", metric: "ping_loaded_p99", to: $rivals, best: "min", goal: "<= 0.5"},
	{name: "cpu_per_gbit_vs_best_rival", of: "warp", metric: "cpu_per_gbit", to: $rivals, best: "min", goal: "<= 0.25"}
  ]
| map(. as $r
	| ([$r.to[]? | {system: ., median: (values(.; $r.metric) | median)} | select(.median)]
	   | if $r.best == "max" then max_by(.median) else min_by(.median) end | .system) as $rival
	| [$rounds[] as $round
	| value($r.of; $r.metric; $round) as $x
	| if $r.to then
		(if $rival then value($rival; $r.metric; $round) else null end) as $y
		| if $x and $y and $y > 0 then $x / $y else empty end
	  else $x // empty end] as $s
  | select($s | length > 0)
  | {test: "bench/ratio", metric: .name, value: ($s | median | rounded), unit: "ratio", goal: .goal,
     samples: ($s | map(rounded))}) as $ratios

| (reduce $samples[] as $s ([]; if index($s.system) then . else . + [$s.system] end)) as $systems
| [$systems[] as $system
	| [$samples[] | select(.system == $system).metric] | unique[] as $metric
	| values($system; $metric) as $s
	| {test: "bench/\($system)", metric: $metric, value: ($s | median | rounded), unit: unit($metric)}
	+ (if $system == "warp" and $metric == "rss" then {metric: "rss_mib", goal: "<= 16"} else {} end)
	+ {samples: ($s | map(rounded))}] as $rows

| def met: .value as $v | .goal | capture("(?<op>[<>]=) (?<limit>.*)")
	| (.limit | tonumber) as $l | if .op == ">=" then $v >= $l else $v <= $l end;
  # Says so where the sender, which shares the cores, could not offer what was asked.
  def note: if (.metric | test("overload")) then
	(.metric | capture("(?<u>udp[0-9]+)_overload(?<n>[24])")) as $c
	| (values("warp"; "\($c.u)_offered\($c.n)") | median) as $m
	| if $m and $m < 0.9 * ($c.n | tonumber) then " (only \($m * 10 | round / 10) times the peak could be offered)"
	  else "" end else "" end;
  def pad($n): tostring | " " * ([$n - length, 0] | max) + .;
  def padr($n): tostring | . + " " * ([$n - length, 0] | max);
  def cell($system; $metric; $digits): (values($system; $metric) | median) as $m
	| if $m == null then "-" else ($m * pow(10; $digits) | round / pow(10; $digits)) end;
  if $output == "rows" then ($rows + $ratios)[] | tojson
  else
	"             |     TCP 1 stream |    TCP 4 streams |  UDP 200 B, kpps     |  UDP 1400 B, kpps    |     ping idle |   ping loaded |   CPU |  RSS",
	"             |     up      down |     up      down |   peak    x2    x4   |   peak    x2    x4   |   p50     p99 |   p50     p99 |s/Gbit|  MiB",
	"-------------+------------------+------------------+----------------------+----------------------+---------------+---------------+-------+-----",
	($systems[] | . as $s | padr(12) + " |"
		+ (cell($s; "tcp1_up"; 0) | pad(7)) + (cell($s; "tcp1_down"; 0) | pad(10)) + " |"
		+ (cell($s; "tcp4_up"; 0) | pad(7)) + (cell($s; "tcp4_down"; 0) | pad(10)) + " |"
		+ (["udp200", "udp1400"] | map(. as $u
			| (cell($s; "\($u)_peak"; 1) | pad(7)) + (cell($s; "\($u)_overload2"; 2) | pad(6))
			+ (cell($s; "\($u)_overload4"; 2) | pad(6)) + "   |") | add)
		+ (cell($s; "ping_idle_p50"; 0) | pad(6)) + (cell($s; "ping_idle_p99"; 0) | pad(8)) + " |"
		+ (cell($s; "ping_loaded_p50"; 0) | pad(6)) + (cell($s; "ping_loaded_p99"; 0) | pad(8)) + " |"
		+ (cell($s; "cpu_per_gbit"; 3) | pad(6)) + " |" + (cell($s; "rss"; 1) | pad(5))),
	"Mbit/s, microseconds; x2, x4: what arrives when twice and four times the peak is offered, of the peak",
	"",
	(($ratios + [$rows[] | select(.goal)])[]
		| "\(.metric | padr(32))\(.value | pad(8))   goal \(.goal | padr(8)) \(if met then "met" else "MISSED" end)\(note)")
  end
