#!/usr/bin/env bash
# What `warp status` says of the NAT before an interface, for every kind of NAT: it is what the
# laboratory has built, and what others think of the same router, each with a server of its own: `stun`
# (RFC 3489) and turnutils_natdiscovery (RFC 5780).
#
#   A-KIND eth0 -- router (each kind of NAT) --+
#                                              +-- internet -- map (two addresses, two ports)
#   A-open eth0 -------------------------------+
#
# The link of A-lossy loses every fifth datagram in each direction: what warp says comes later then, and
# is the same.
# timeout: 240
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin jq conntrack warpd warp-map warp

# name = kind and options of the router | verdict mapping filtering preserves_ports port_step hairpin
KINDS='
open = open | open none endpoint-independent yes equal -
full-cone = full-cone | natted endpoint-independent endpoint-independent yes equal no
restricted = restricted | natted endpoint-independent address-dependent yes equal no
port-restricted = port-restricted | natted endpoint-independent address-and-port-dependent yes equal no
other-ports = port-restricted,other-ports | natted endpoint-independent address-and-port-dependent no random no
symmetric-address = symmetric-address | natted address-dependent address-and-port-dependent no random no
symmetric = symmetric | natted address-and-port-dependent address-and-port-dependent no random no
sequential = sequential | natted address-and-port-dependent address-and-port-dependent no independent no
firewall = firewall | firewall-only none address-and-port-dependent yes equal -
cgnat = cgnat | natted endpoint-independent address-and-port-dependent no random no
hairpin = full-cone,hairpin | natted endpoint-independent endpoint-independent yes equal yes
restricted-hairpin = port-restricted,hairpin | natted endpoint-independent address-and-port-dependent yes equal yes
short = port-restricted,short | natted endpoint-independent address-and-port-dependent yes equal no
symmetric-short = symmetric,short | natted address-and-port-dependent address-and-port-dependent no random no
lossy = restricted | natted endpoint-independent address-dependent yes equal no
'
lab_internet
host map
uplink map eth0
first=${ADDRESS[map/eth0]}
second=${first%.2}.3
ip_in map addr add "$second/24" dev eth0
cat >"$LAB/map.yaml" <<END
private_key_file: $(private_key map)
listen: ["$first:13116", "$first:13117", "$second:13116", "$second:13117"]
END
LAB_MAP_KEY=$(public_key map)
LAB_MAP=$first:13116
start_map

names=()
declare -A EXPECTED=()
while read -r line; do
	[ -n "$line" ] || continue
	name=${line%% = *} spec=${line#* = }
	names+=("$name")
	EXPECTED[$name]=${spec#* | }
	host "A-$name"
	uplink "A-$name" eth0 "nat=${spec%% | *}"
	INTERFACES=
	[ "$name" != symmetric-short ] ||
		INTERFACES=$'interface_scan_interval: 20\n  holepunch_keep_alive_interval: 20'
	[ "$name" != lossy ] || link_loss "A-$name" eth0 20
	conf "A-$name" <<-END
		far_gate:
		$(far_gate nobody)
		tunnels: [{ name: net, gate: { application_to_gate: "127.1.0.1:9000" } }]
	END
done <<<"$KINDS"
begun=$(now_us)
for name in "${names[@]}"; do launch_warpd "A-$name"; done

# --- what others think of the same routers, meanwhile

if command -v stun stund >/dev/null; then
	spawn map stund stund -h "$first" -a "$second" -p 4478 -o 4479
	wait_until 'listens map udp 4479' 5 || lab_die "stund does not listen"
	# From a port outside of the ranges that some routers use: one inside would be kept.
	for name in "${names[@]}"; do spawn "A-$name" "stun-$name" stun "$first:4478" -p 40000; done
fi
if command -v turnserver turnutils_natdiscovery >/dev/null; then
	spawn map turnserver turnserver -n -S -L "$first" -L "$second" -p 5478 --alt-listening-port 5479 \
		--no-tls --no-dtls --no-cli -z -l stdout --pidfile "$LAB/turn.pid" --userdb "$LAB/turndb"
	wait_until 'listens map udp 5479' 5 || lab_die "turnserver does not listen"
	for name in "${names[@]}"; do
		spawn "A-$name" "discovery-$name" turnutils_natdiscovery -m -f -p 5478 "$first"
	done
fi

# --- what warp says

nat_of() { status "A-$1" '.interfaces[0].nat | [.verdict, .mapping, .filtering, .preserves_ports,
	.port_step, (if .hairpin == "unknown" then "-" else .hairpin end)] | join(" ")'; }

for name in "${names[@]}"; do
	[ "$name" != lossy ] || took=$((($(now_us) - begun) / 1000))
	check "$name" "is '$(nat_of "$name")', not '${EXPECTED[$name]}'" \
		wait_until "[ \"\$(nat_of $name)\" = '${EXPECTED[$name]}' ]" 90
done
record natclass all_kinds_are_known "$took" ms "<= 60000"
check sequential_steps_by_one "$(status A-sequential '.interfaces[0].nat' -c)" \
	[ "$(status A-sequential '.interfaces[0].nat.port_step_size')" = 1 ]

record natclass lossy_link_is_known $((($(now_us) - begun) / 1000)) ms ""
# The others give up where answers are lost.
unset 'names[-1]'

# --- do they agree?

# term TEXT: a word of turnutils_natdiscovery as warp says it.
term()
{
	case $1 in
	'Endpoint Independent') echo endpoint-independent ;;
	'Address Dependent') echo address-dependent ;;
	'Address and Port Dependent') echo address-and-port-dependent ;;
	*) echo "$1" ;;
	esac
}

# said NAME Mapping|Filtering
said() { term "$(sed -n "s/^NAT with \(.*\) $2!/\1/p" "$LAB/discovery-$1.log")"; }

if [ -n "${LAB_PID[turnserver]:-}" ]; then
	for name in "${names[@]}"; do
		await "discovery-$name" 60
		read -r _ mapping filtering _ <<<"$(nat_of "$name")"
		# It compares with the wildcard address of its socket: to it, no translation is one too.
		[ "$mapping" != none ] || mapping=endpoint-independent
		check "agrees_with_natdiscovery/$name" "$(said "$name" Mapping), $(said "$name" Filtering)" \
			[ "$mapping, $filtering" = "$(said "$name" Mapping), $(said "$name" Filtering)" ]
	done
else
	skip agrees_with_natdiscovery "coturn is not installed"
fi

# What warp says in the words of `stun`. It does not tell the kinds of dependent mappings apart.
as_stun()
{
	local verdict mapping filtering preserves hairpin
	read -r verdict mapping filtering preserves _ hairpin <<<"$(nat_of "$1")"
	case $verdict in
	open) echo Open && return ;;
	firewall-only) echo Firewall && return ;;
	esac
	case $mapping in
	endpoint-independent) mapping='Independent Mapping' ;;
	*) mapping='Dependent Mapping' ;;
	esac
	case $filtering in
	endpoint-independent) filtering=', Independent Filter' ;;
	address-dependent) filtering=', Address Dependent Filter' ;;
	*) filtering=', Port Dependent Filter' ;;
	esac
	[ "$mapping" = 'Independent Mapping' ] || filtering=
	if [ "$preserves" = yes ]; then preserves='preserves ports'; else preserves='random port'; fi
	if [ "$hairpin" = yes ]; then hairpin='will hairpin'; else hairpin='no hairpin'; fi
	echo "$mapping$filtering, $preserves, $hairpin"
}

if [ -n "${LAB_PID[stund]:-}" ]; then
	for name in "${names[@]}"; do
		await "stun-$name" 60
		other=$(sed -n 's/^Primary: //p' "$LAB/stun-$name.log" | sed 's/[[:space:]]*$//')
		check "agrees_with_stun/$name" "stun says '$other', warp '$(as_stun "$name")'" \
			[ "$other" = "$(as_stun "$name")" ]
	done
else
	skip agrees_with_stun "stun-client and stun-server are not installed"
fi

# --- short lifetimes: what is measured lies around the truth, and something travels in time

for name in short symmetric-short; do
	check "lifetime/$name" "$(status "A-$name" '.interfaces[0].nat' -c)" wait_until \
		"status_is A-$name '.interfaces[0].nat | .lifetime_min != null and .lifetime_max != null
			and .lifetime_max - .lifetime_min <= 4'" 60
	check "lifetime_is_right/$name" "$(status "A-$name" '.interfaces[0].nat' -c)" status_is "A-$name" \
		'.interfaces[0].nat | .lifetime_min >= 3 and .lifetime_min <= 5.2 and .lifetime_max >= 4.8'
	record natclass "lifetime_min-$name" "$(status "A-$name" '.interfaces[0].nat.lifetime_min')" s "<= 5"
done
check lifetime_is_at_least "$(status A-port-restricted '.interfaces[0].nat' -c)" wait_until \
	"status_is A-port-restricted '.interfaces[0].nat | .lifetime_min >= 6 and .lifetime_max == null'" 30

# By itself, warpd would say something every 20 s only, and the mapping would expire in between: the next
# one has another port, which the map sees. (Then the NAT is looked at again, which holds it for 17 s.)
observed() { status A-symmetric-short '.interfaces[0].maps[0].observed'; }
seen=
stays() { [ "$(observed)" = "$seen" ] || { seen=$(observed) && return 1; }; }
check short_mapping_is_kept "it does not stay for 45 s" wait_until 'for_seconds 45 stays' 80
lab_end
