# shellcheck shell=bash
# Routers of all kinds between a host and the laboratory's internet. lib/lab.sh reads this file; a test
# asks for a router where it makes a link, and then does to it what happens to routers.
#
#   uplink A eth0 nat=symmetric                  # A -- router -- internet
#   uplink A eth1 nat=port-restricted,hairpin,short
#   uplink B eth0 nat=cgnat                      # B -- router -- carrier's router -- internet
#   uplink C eth0 lan=A/eth0                     # C is on the LAN of A's router
#   uplink D eth0 nat=full-cone carrier=B/eth0   # D -- router of its own -- the carrier's router of B
#   nat_rebind A eth0                            # all mappings are gone, new ones have other ports
#   nat_renumber A eth0                          # the router has another address outside
#   nat_forget A eth0                            # as if it had been switched off and on
#
#   kind                            mapping (RFC 4787)        filtering         ports
#   full-cone                       endpoint-independent      none              preserved
#   address-restricted, restricted  endpoint-independent      by address        preserved
#   port-restricted                 endpoint-independent      by address+port   preserved
#   symmetric-address               by address                by address+port   random
#   symmetric                       by address and port       by address+port   random
#   sequential                      by address and port       by address+port   the last one + 1
#   cgnat                           two port-restricted routers in a row; the carrier's has other ports
#   udp-blocked                     TCP is translated, UDP does not pass
#   firewall                        no translation            by address+port   -
#   none, open                      no router
#
# Options, after commas:
#   hairpin      who is inside reaches what is inside at its outer address (not with symmetric kinds)
#   short        a mapping lasts 5 s, 10 s once it has been used for more than 2 s
#   accept       early packets from outside are taken for the router itself: a mapping that goes
#                there later gets another port. Otherwise they are dropped, as most routers do
#   other-ports  mappings do not keep the port of the host
#   reject       udp-blocked, and says so: ICMP "administratively prohibited"
#
# A router's interfaces are `wan` and `lan`. IPv6 is never translated: there, any kind but none and
# full-cone is a stateful firewall; cgnat is IPv4 only.
# shellcheck disable=SC2034

declare -A ADDRESS ADDRESS6 GATEWAY GATEWAY6 PUBLIC FAR ROUTER # lab.sh's
declare -A NAT_SPEC=()  # router -> kind and options
declare -A NAT_WAN=()   # router -> its outer address
declare -A NAT_FIRST=() # router -> first port of the range of its mappings; empty: ports are kept
declare -A NAT_OUTER=() # HOST/IFNAME -> the router that the internet sees
declare -A NAT_PORTS=() # router -> how many are on its LAN, if that is a switch

nat_kind() { case ${1%%,*} in restricted) echo address-restricted ;; *) echo "${1%%,*}" ;; esac; }
nat_has() { [[ ,${1#*,}, == *,$2,* && $1 == *,* ]]; }

# nat_check SPEC: a mistake ends the test.
nat_check()
{
	local word
	case $(nat_kind "$1") in
	full-cone | address-restricted | port-restricted | symmetric-address | symmetric | sequential) ;;
	cgnat | udp-blocked | firewall | none | open) ;;
	*) lab_die "unknown kind of NAT: $1" ;;
	esac
	[[ $1 == *,* ]] || return 0
	for word in ${1//,/ }; do
		case $word in
		"${1%%,*}" | hairpin | short | accept | other-ports | reject) ;;
		*) lab_die "unknown option of NAT: $word" ;;
		esac
	done
}

# nat ROUTER SPEC WAN-ADDRESS: the router's tables.
nat()
{
	nat_check "$2"
	NAT_SPEC[$1]=$2 NAT_WAN[$1]=$3 NAT_FIRST[$1]=
	if nat_has "$2" other-ports || [ "$(nat_kind "$2")" = sequential ]; then NAT_FIRST[$1]=20000; fi
	! nat_has "$2" short || run_in "$1" sh -c 'cd /proc/sys/net/netfilter &&
		echo 5 >nf_conntrack_udp_timeout && echo 10 >nf_conntrack_udp_timeout_stream' ||
		lab_die "conntrack timeouts of $1"
	nat_load "$1"
}

# Also again: what was there is replaced in one step.
nat_load()
{
	local table
	{
		for table in 'ip6 firewall' 'ip firewall' 'ip nat'; do
			printf 'table %s\ndelete table %s\n' "$table" "$table"
		done
		nat_v6 "$(nat_kind "${NAT_SPEC[$1]}")"
		case $(nat_kind "${NAT_SPEC[$1]}") in
		firewall) nat_firewall ;;
		*) nat_rules "${NAT_SPEC[$1]}" "${NAT_WAN[$1]}" "${NAT_FIRST[$1]}" ;;
		esac
	} >"$LAB/$1.nft"
	run_in "$1" nft -f "$LAB/$1.nft" || lab_die "the rules of $1 (${NAT_SPEC[$1]})"
}

nat_firewall()
{
	cat <<-'END'
		table ip firewall {
			chain forward { type filter hook forward priority filter; policy drop;
				ct state established,related accept
				iifname "lan" accept
			}
		}
	END
}

nat_v6()
{
	local policy=drop blocked=
	[ "$1" != full-cone ] || policy=accept
	[ "$1" != udp-blocked ] || blocked='meta l4proto udp drop'
	cat <<-END
		table ip6 firewall {
			chain forward { type filter hook forward priority filter; policy $policy;
				$blocked
				ct state established,related accept
				iifname "lan" accept
			}
		}
	END
}

# nat_rules SPEC WAN FIRST-PORT. The `in` chain is what keeps an early packet from outside from making
# a connection of the router itself, whose port the mapping that goes out can then not have.
nat_rules()
{
	local spec=$1 wan=$2 first=$3 pre='' learn='' sets='' in='' forward=''
	local post='oifname "wan" masquerade' timeout='flags dynamic,timeout; timeout 300s; size 65535;'
	local cone="map cone { type inet_service : ipv4_addr . inet_service; $timeout }"
	local learned='update @cone { udp sport : ct original ip saddr . ct original proto-src }'
	local dnat="iifname \"wan\" ip daddr $wan meta l4proto udp"
	nat_has "$spec" accept || in='iifname "wan" ct state new drop'
	[ -z "$first" ] || post="oifname \"wan\" meta l4proto { tcp, udp } masquerade to :$first-$((first + 9999))
		$post"
	case $(nat_kind "$spec") in
	port-restricted | cgnat) ;;
	udp-blocked) forward="meta l4proto udp $(nat_has "$spec" reject && echo reject with icmp admin-prohibited || echo drop)" ;;
	full-cone)
		sets=$cone learn=$learned
		pre="$dnat dnat ip to udp dport map @cone"
		;;
	address-restricted)
		sets="$cone
			set talked { type inet_service . ipv4_addr; $timeout }"
		pre="$dnat udp dport . ip saddr @talked dnat ip to udp dport map @cone"
		learn="$learned update @talked { udp sport . ip daddr }"
		;;
	symmetric) post='oifname "wan" masquerade fully-random' ;;
	symmetric-address)
		sets="map chosen { type ipv4_addr . inet_service . ipv4_addr : inet_service; $timeout }"
		post="oifname \"wan\" meta l4proto udp snat ip to $wan : ip saddr . udp sport . ip daddr map @chosen
			oifname \"wan\" masquerade fully-random"
		learn='update @chosen { ct original ip saddr . ct original proto-src . ip daddr : udp sport }'
		;;
	sequential)
		post="oifname \"wan\" meta l4proto udp snat ip to $wan : numgen inc mod 4096 map { $(
			seq -f %.0f 0 4095 | awk -v first="$first" '{ printf "%s%d : %d", (NR > 1 ? ", " : ""), $1, first + $1 }') }
			oifname \"wan\" masquerade"
		;;
	esac
	if nat_has "$spec" hairpin; then
		[ -n "$sets" ] || sets=$cone learn=$learned
		sets+=$'\n'"map outer { type ipv4_addr . inet_service : inet_service; $timeout }"
		pre+=$'\n'"iifname \"lan\" ip daddr $wan meta l4proto udp dnat ip to udp dport map @cone"
		learn+=' update @outer { ct original ip saddr . ct original proto-src : udp sport }'
		post="iifname \"lan\" oifname \"lan\" ct status dnat meta l4proto udp snat ip to $wan : ip saddr . udp sport map @outer
			$post"
	fi
	cat <<-END
		table ip nat {
			$sets
			chain in { type filter hook input priority filter;
				$in
			}
			chain forward { type filter hook forward priority filter;
				$forward
			}
			chain pre { type nat hook prerouting priority dstnat;
				$pre
			}
			chain post { type nat hook postrouting priority srcnat;
				$post
			}
			chain learn { type filter hook postrouting priority srcnat + 10;
				${learn:+oifname \"wan\" meta l4proto udp ct direction original $learn}
			}
		}
	END
}

# --- links behind routers: uplink's other half -----------------------------------------------------

# nat_uplink HOST IFNAME N SPEC FAMILY CARRIER-OF: a router of its own on the link with number N; with
# CARRIER-OF (HOST/IFNAME), its outer end is on the LAN of that one's carrier.
nat_uplink()
{
	local host=$1 dev=$2 n=$3 spec=$4 family=$5 key=$1/$2 router=router-$1-$2 carrier=''
	nat_check "$spec"
	namespace "$router"
	forwarding "$router"
	cable "$host" "$dev" "$router" lan
	FAR[$key]="$router lan"
	ROUTER[$key]=$router
	NAT_OUTER[$key]=$router
	PUBLIC[$key]=11.$n.0.2
	ADDRESS[$key]=192.168.$n.2 GATEWAY[$key]=192.168.$n.1
	ADDRESS6[$key]=2001:db8:$n:1::2 GATEWAY6[$key]=2001:db8:$n:1::1
	if [ "$(nat_kind "$spec")" = firewall ]; then
		ADDRESS[$key]=11.$n.1.2 GATEWAY[$key]=11.$n.1.1 PUBLIC[$key]=11.$n.1.2
	fi
	if [ -n "$6" ]; then
		nat_behind_carrier "$key" "$6" "$spec"
	elif [ "$(nat_kind "$spec")" = cgnat ]; then
		nat_carrier "$key" "$n" "$spec"
	else
		cable "$router" wan internet "l$n"
		nat_addresses "$key" "$router" "$n" "$family"
		nat "$router" "$spec" "11.$n.0.2"
		return
	fi
	[ "$family" = 4 ] || lab_die "$key: a carrier's router has IPv4 only"
	ip_in "$router" addr add "${GATEWAY[$key]}/24" dev lan
}

# nat_addresses KEY ROUTER N FAMILY
nat_addresses()
{
	if [[ $4 == *4* ]]; then
		ip_in "$2" addr add "11.$3.0.2/24" dev wan
		ip_in "$2" addr add "${GATEWAY[$1]}/24" dev lan
		ip_in "$2" route add default via "11.$3.0.1"
	fi
	if [[ $4 == *6* ]]; then
		ip_in "$2" addr add "2001:db8:$3::2/64" dev wan nodad
		ip_in "$2" addr add "${GATEWAY6[$1]}/64" dev lan nodad
		ip_in "$2" -6 route add default via "2001:db8:$3::1"
	fi
}

# Two routers in a row, 100.64.N.0/24 between them.
nat_carrier()
{
	local router=${ROUTER[$1]} n=$2 carrier=carrier-${1/\//-} options=''
	[[ $3 != *,* ]] || options=,${3#*,}
	namespace "$carrier"
	forwarding "$carrier"
	cable "$router" wan "$carrier" lan
	cable "$carrier" wan internet "l$n"
	ip_in "$carrier" addr add "100.64.$n.1/24" dev lan
	ip_in "$carrier" addr add "11.$n.0.2/24" dev wan
	ip_in "$carrier" route add default via "11.$n.0.1"
	ip_in "$router" addr add "100.64.$n.2/24" dev wan
	ip_in "$router" route add default via "100.64.$n.1"
	NAT_OUTER[$1]=$carrier
	nat "$router" "port-restricted$options" "100.64.$n.2"
	nat "$carrier" "port-restricted,other-ports$options" "11.$n.0.2"
}

# nat_behind_carrier KEY OTHER-KEY SPEC
nat_behind_carrier()
{
	local router=${ROUTER[$1]} spec=$3 carrier=${NAT_OUTER[$2]} other port address
	[ "$carrier" != "${ROUTER[$2]}" ] || lab_die "$2 is not behind a carrier's router"
	nat_switch "$carrier"
	port=lan$((NAT_PORTS[$carrier] += 1))
	cable "$router" wan "$carrier" "$port"
	ip_in "$carrier" link set dev "$port" master lan
	other=${NAT_WAN[${ROUTER[$2]}]}
	address=${other%.*}.$((NAT_PORTS[$carrier] + 1))
	ip_in "$router" addr add "$address/24" dev wan
	ip_in "$router" route add default via "${other%.*}.1"
	NAT_OUTER[$1]=$carrier
	PUBLIC[$1]=${PUBLIC[$2]}
	nat "$router" "$spec" "$address"
}

# nat_lan HOST IFNAME OTHER-KEY: one more host on a LAN that is there.
nat_lan()
{
	local key=$1/$2 router=${ROUTER[$3]} port
	[ -n "$router" ] || lab_die "$3 has no router"
	[ -n "${NAT_PORTS[$router]:-}" ] || FAR[$3]="$router lan1"
	nat_switch "$router"
	port=lan$((NAT_PORTS[$router] += 1))
	cable "$1" "$2" "$router" "$port"
	ip_in "$router" link set dev "$port" master lan
	FAR[$key]="$router $port"
	ROUTER[$key]=$router
	NAT_OUTER[$key]=${NAT_OUTER[$3]}
	ADDRESS[$key]=${ADDRESS[$3]%.*}.$((NAT_PORTS[$router] + 1))
	GATEWAY[$key]=${GATEWAY[$3]}
	PUBLIC[$key]=${PUBLIC[$3]}
	[ "$(nat_kind "${NAT_SPEC[$router]}")" != firewall ] || PUBLIC[$key]=${ADDRESS[$key]}
	ADDRESS6[$key]=${ADDRESS6[$3]:+${ADDRESS6[$3]%::*}::$((NAT_PORTS[$router] + 1))}
	GATEWAY6[$key]=${GATEWAY6[$3]}
}

# nat_switch ROUTER: its `lan` becomes a switch, what was there is port lan1 of it.
nat_switch()
{
	local address mac
	[ -z "${NAT_PORTS[$1]:-}" ] || return 0
	# Which hosts know already, and which would change with every port.
	mac=$(ip -n "$(ns "$1")" -j link show dev lan | jq -r '.[].address')
	address=$(ip -n "$(ns "$1")" -j addr show dev lan |
		jq -r '.[].addr_info[] | select(.scope == "global") | "\(.local)/\(.prefixlen)"')
	ip_in "$1" link set dev lan down
	ip_in "$1" link set dev lan name lan1
	ip_in "$1" addr flush dev lan1
	ip_in "$1" link add name lan address "$mac" type bridge
	ip_in "$1" link set dev lan1 master lan
	ip_in "$1" link set dev lan1 up
	ip_in "$1" link set dev lan up
	for address in $address; do
		case $address in
		*:*) ip_in "$1" addr replace "$address" dev lan nodad ;;
		*) ip_in "$1" addr replace "$address" dev lan ;;
		esac
	done
	# A switch carries only a moment after its first port.
	wait_until "ip -n $(ns "$1") link show dev lan | grep -q 'state UP'" 3
	NAT_PORTS[$1]=1
}

# --- what happens to routers -----------------------------------------------------------------------

# Flows go on with the old mapping until conntrack forgets them: rules first.
nat_forget_router()
{
	nat_load "$1"
	run_in "$1" conntrack -F >/dev/null 2>&1 || lab_die "conntrack -F (in $1)"
}

# nat_forget HOST IFNAME: all its routers lose their mappings; ports that are preserved come back.
nat_forget()
{
	local router
	for router in "${ROUTER[$1/$2]}" "${NAT_OUTER[$1/$2]:-}"; do
		[ -z "$router" ] || nat_forget_router "$router"
	done
}

# nat_rebind HOST IFNAME: the outermost router loses its mappings, and new ones have other ports.
nat_rebind()
{
	local router=${NAT_OUTER[$1/$2]}
	case ${NAT_FIRST[$router]} in
	20000) NAT_FIRST[$router]=30000 ;;
	*) NAT_FIRST[$router]=20000 ;;
	esac
	nat_forget_router "$router"
}

# nat_renumber HOST IFNAME: the outermost router has another address; the old one is nobody's.
nat_renumber()
{
	local router=${NAT_OUTER[$1/$2]} old key
	old=${NAT_WAN[$router]}
	NAT_WAN[$router]=${old%.*}.$((${old##*.} + 1))
	ip_in "$router" addr del "$old/24" dev wan
	ip_in "$router" addr add "${NAT_WAN[$router]}/24" dev wan
	ip_in "$router" route replace default via "${old%.*}.1"
	for key in "${!NAT_OUTER[@]}"; do
		[ "${NAT_OUTER[$key]}" != "$router" ] || [ "${PUBLIC[$key]}" != "$old" ] ||
			PUBLIC[$key]=${NAT_WAN[$router]}
	done
	nat_forget_router "$router"
}
