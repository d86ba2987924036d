# shellcheck shell=bash
# Two hosts behind NATs of given kinds: how long until they talk, and how. Comes after lib/lab.sh;
# lab_begin then needs tun, jq, conntrack, warpd, warp-map, warp, netns/numbers.
#
#   pairs_begin open symmetric cgnat     # per kind a host A-KIND and a host B-KIND; one map
#   pair open symmetric                  # A-open and B-symmetric are started; sets the variables below
#
# The networks are made once. For each pair both daemons are started anew, routers have forgotten all
# they knew, and both hosts have keys that no other pair's daemons have seen. Numbered payloads run
# both ways through UDP gates from the moment on at which both daemons answer; times are from then.
# shellcheck disable=SC2034

PAIR_FIRST_MS= # until the first payload had come at both ends; empty: it never did
PAIR_DIRECT_MS= # until both had a live path that is not relayed; empty: none in the time that was given
PAIR_HOW=      # how, as both ends say: of their direct paths; else of the relay
PAIR_LOST=     # payloads lost after the first one, both ends together
PAIR_TWICE=    # payloads that came twice
PAIR_NUMBER=0

# pairs_map: with two addresses of two ports each, and TCP. PAIRS_MAP has more lines of its configuration.
pairs_map()
{
	local first second
	host map
	uplink map eth0
	first=${ADDRESS[map/eth0]}
	second=${first%.*}.3
	ip_in map addr add "$second/24" dev eth0
	cat >"$LAB/map.yaml" <<-END
		private_key_file: $(private_key map)
		listen: ["$first:13116", "$first:13117", "$second:13116", "$second:13117"]
		listen_tcp: ["$first:443"]
		${PAIRS_MAP:-}
	END
	LAB_MAP_KEY=$(public_key map)
	LAB_MAP="$first:13116"
	start_map
}

pairs_begin()
{
	local kind end
	lab_internet
	pairs_map
	for kind in "$@"; do
		for end in A B; do
			host "$(pair_host $end "$kind")"
			uplink "$(pair_host $end "$kind")" eth0 "nat=$kind"
		done
	done
}

# pair_host A|B KIND: options of a kind are part of the name.
pair_host() { echo "$1-${2//,/_}"; }

# pair_conf HOST PEER
pair_conf()
{
	conf "$1" <<-END
		far_gate:
		$(far_gate "$2")
		tunnels:
		  - name: video
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
	END
}

# pair_how HOST: of its live paths: those that are direct, else those that are relayed.
PAIR_HOW_FILTER='[.peers[0].paths[] | select(.state == "live") | .how // .origin] | unique
	| map(select(startswith("relay") | not)) as $direct
	| if $direct | length > 0 then $direct else . end | join("+")'
pair_how() { status "$1" "$PAIR_HOW_FILTER"; }
pair_is_direct()
{
	local how
	how=$(pair_how "$1") && [ -n "$how" ] && [[ $how != relay* ]]
}

# pair KIND-OF-A KIND-OF-B [SECONDS]: how long a direct path is waited for (4).
pair()
{
	local a b begun
	a=$(pair_host A "$1")
	b=$(pair_host B "$2")
	nat_forget "$a" eth0
	nat_forget "$b" eth0
	PAIR_NUMBER=$((PAIR_NUMBER + 1))
	rm -f "$LAB/$a.key" "$LAB/$b.key" "$LAB/$a.log" "$LAB/$b.log"
	pair_conf "$a" "$b"
	pair_conf "$b" "$a"
	receive "$a" at-A udp:127.1.0.1:9001 -n 50000 -i 60000 -w 60000
	receive "$b" at-B udp:127.1.0.1:9001 -n 50000 -i 60000 -w 60000
	launch_warpd "$a"
	launch_warpd "$b"
	wait_until "[ -S $LAB/$a.sock ] && [ -S $LAB/$b.sock ] || ! running $a || ! running $b" 5
	begun=$(now_us)
	send_along "$a" from-A udp:127.1.0.1:9000 -n 50000 -r 200
	send_along "$b" from-B udp:127.1.0.1:9000 -n 50000 -r 200
	PAIR_DIRECT_MS=
	# Asking costs more than the daemons do: not too often.
	if wait_until "nap 0.05; pair_is_direct $a && pair_is_direct $b" "${3:-4}"; then
		PAIR_DIRECT_MS=$((($(now_us) - begun) / 1000))
	fi
	# What a change of paths does to payloads is part of what is counted.
	nap 0.5
	PAIR_HOW=$(printf '%s\n' "$(pair_how "$a")" "$(pair_how "$b")" | sort -u | paste -sd /)
	stop from-A
	stop from-B
	nap 0.2
	stop at-A
	stop at-B
	pair_tell "$begun"
	stop "$a"
	stop "$b"
	rm -f "$LAB/$a.sock" "$LAB/$b.sock"
}

# pair_tell BEGUN-US: from what both receivers said.
pair_tell()
{
	local end first last=0
	PAIR_FIRST_MS='' PAIR_LOST=0 PAIR_TWICE=0
	for end in A B; do
		if [ "$(said at-$end .unique)" = 0 ]; then
			last=
			continue
		fi
		first=$((($(said at-$end .first_at_us) - $1) / 1000))
		[ -z "$last" ] || [ "$first" -le "$last" ] || last=$first
		PAIR_LOST=$((PAIR_LOST + $(said at-$end '.last - .first + 1 - .unique')))
		PAIR_TWICE=$((PAIR_TWICE + $(said at-$end .duplicated)))
	done
	[ -z "$last" ] || PAIR_FIRST_MS=$last
}

# pair_expects KIND KIND: `direct SECONDS`, `relay` or `relay-tcp`: what is the least that must be.
#
# Where one side lets in whom it has sent to, wherever from (open, full-cone, restricted), sending at
# the same time is enough. Two that want the right port too must both keep theirs (port-restricted,
# cgnat, firewall); against one that takes another port for each destination, ports are guessed:
# those that count up at once, random ones by birthday. Two of the latter cannot.
pair_expects()
{
	local kinds
	kinds=$(pair_class "$1")-$(pair_class "$2")
	case $kinds in
	*blocked*) echo relay-tcp ;;
	*easy*) echo direct 2 ;;
	steady-steady) echo direct 2 ;;
	*steady*) [[ $kinds == *counting* ]] && echo direct 5 || echo direct 15 ;;
	*) echo relay ;;
	esac
}

# pair_patience SECONDS: what is waited for a direct path that must be there in so many. Where random ports
# are tried 3 rounds of 10,000 find nothing; the next begins 15 s later.
pair_patience() { [ "$1" = 15 ] && echo 45 || echo "$1"; }

pair_class()
{
	case $(nat_kind "$1") in
	open | none | full-cone | address-restricted) echo easy ;;
	port-restricted | cgnat | firewall) echo steady ;;
	sequential) echo counting ;;
	symmetric | symmetric-address) echo random ;;
	udp-blocked) echo blocked ;;
	*) lab_die "pair_class: what is $1?" ;;
	esac
}

# pair_explain A B: what both said, for a failure.
pair_explain()
{
	local host
	for host in "$(pair_host A "$1")" "$(pair_host B "$2")"; do
		echo "    $host"
		tail -n 8 "$LAB/$host.log" | cut -c 1-200 | sed 's/^/      /'
	done
}

# pair_judge NAME A B [one-of-many]: runs the pair and judges it. A direct path where none is asked for is
# welcome. Of one of many tries the caller judges how many had a direct path in time.
pair_judge()
{
	local name=$1 must seconds patience failed=$LAB_FAILED
	LAB_FAILED=0
	read -r must seconds <<<"$(pair_expects "$2" "$3")"
	patience=$(pair_patience "${seconds:-2}")
	pair "$2" "$3" $((patience + 1))
	check "$name/connects_in_1_s" "the first payload took ${PAIR_FIRST_MS:-for ever} ms" \
		[ "${PAIR_FIRST_MS:-9999}" -le 1000 ]
	check "$name/nothing_twice" "$PAIR_TWICE payloads came twice" [ "$PAIR_TWICE" = 0 ]
	case $must in
	direct)
		[ -n "${4:-}" ] || check "$name/direct_in_${patience}_s" \
			"took ${PAIR_DIRECT_MS:-for ever} ms; connected by '$PAIR_HOW'" \
			[ "${PAIR_DIRECT_MS:-99999}" -le $((patience * 1000)) ]
		;;
	*)
		check "$name/is_connected_by_$must" "connected by '$PAIR_HOW'" \
			[ -n "$PAIR_DIRECT_MS" -o "$PAIR_HOW" = "$must" ]
		;;
	esac
	if [ "$LAB_FAILED" = 0 ]; then LAB_FAILED=$failed; else pair_explain "$2" "$3"; fi
}
