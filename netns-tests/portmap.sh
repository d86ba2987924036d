#!/usr/bin/env bash
# Routers let others in: what warpd asks them for is granted, works, is renewed, and is given back.
#
#    A eth0 -- router (symmetric NAT, IPv6 firewall, miniupnpd) -- internet -- eth0 B
#
# At first there is no map, and A does not know where B is: B gets through to A by the router's mapping, or not
# at all. The router speaks one protocol at a time; what belongs to another is dropped, not refused.
# timeout: 180
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
# shellcheck source=netns-tests/lib/pairs.sh
. "$(dirname "$0")/lib/pairs.sh"
lab_begin tun jq miniupnpd ps warpd warp-map warp

PORT=51900
router='router-A-eth0'
lab_internet
host A
host B
uplink A eth0 nat=symmetric family=46
uplink B eth0 family=46
OUTER=${PUBLIC[A/eth0]}
INNER6=${ADDRESS6[A/eth0]}

# --- the router

# What a router has besides its NAT: a firewall for both families, with chains for miniupnpd.
run_in "$router" nft -f - <<END || lab_die "the rules of the router"
	delete table ip6 firewall
	table inet filter {
		chain miniupnpd {}
		chain prerouting_miniupnpd {}
		chain postrouting_miniupnpd {}
		chain forward { type filter hook forward priority filter; policy drop;
			ct state established,related accept
			iifname "lan" accept
			jump miniupnpd
		}
		chain pre { type nat hook prerouting priority dstnat - 5;
			jump prerouting_miniupnpd
		}
		chain post { type nat hook postrouting priority srcnat - 5;
			jump postrouting_miniupnpd
		}
	}
	table inet speaks {
		chain input { type filter hook input priority filter - 1;
		}
	}
END
cat >"$LAB/miniupnpd.conf" <<END
ext_ifname=wan
ext_ifname6=wan
listening_ip=lan
ipv6_listening_ip=::
http_port=5000
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
min_lifetime=2
max_lifetime=86400
lease_file=$LAB/leases
lease_file6=$LAB/leases6
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=73a9cb68-a00b-4d02-8412-75dd989f6b9c
system_uptime=no
notify_interval=30
allow 1024-65535 0.0.0.0/0 1024-65535
END

# speaks RULE...: what the router drops of what it is asked.
speaks()
{
	run_in "$router" nft -f - <<-END || lab_die "speaks $*"
		flush chain inet speaks input
		table inet speaks {
			chain input {
				$(printf '%s\n' "$@")
			}
		}
	END
}
NO_PCP='udp dport 5351 @th,64,8 2 drop'
NO_NATPMP='udp dport 5351 @th,64,8 0 drop'
NO_UPNP='udp dport 1900 drop'

forget_mappings()
{
	local chain
	for chain in miniupnpd prerouting_miniupnpd postrouting_miniupnpd; do
		run_in "$router" nft flush chain inet filter $chain
	done
	rm -f "$LAB/leases" "$LAB/leases6"
}
start_router()
{
	spawn "$router" router miniupnpd -d -f "$LAB/miniupnpd.conf" -P "$LAB/miniupnpd.pid"
	wait_until "listens '$router' udp 5351 && listens $router tcp 5000" 5 || lab_die "miniupnpd does not listen"
}

# maps4, maps6: the router has a mapping, a pinhole (IPv6: 128 bits of address), for A's port.
maps4() { run_in "$router" nft list chain inet filter prerouting_miniupnpd | grep -q "dport $PORT"; }
maps6() { run_in "$router" nft list chain inet filter miniupnpd | grep "dport $PORT" | grep -q "@nh,192,128 "; }

# --- A and B

# configure FAMILY LIFETIME: B knows A's outer address of this family, A knows nothing of B's.
configure()
{
	local endpoint="$OUTER:$PORT"
	[ "$1" = 4 ] || endpoint="[$INNER6]:$PORT"
	INTERFACES="listen_port: $PORT
  port_mapping_lifetime: $2" FAR_GATE_A='' FAR_GATE_B="endpoints: ['$endpoint']" conf_pair
	sed -i '/listen_port/d' "$LAB/B.yaml"
}

# has PROTOCOL EXTERNAL: A says that it has this mapping, on one of its interfaces.
has()
{
	status_is A '.interfaces | any(.port_mapping | . != null and .protocol == $p and .external == $e and .expires > 0)' \
		--arg p "$1" --arg e "$2"
}
children() { ps -o pid= --ppid "$(pid A)"; }
mappings() { status A '[.interfaces[] | {address, port_mapping}]' -c; }

# works NAME PROTOCOL FAMILY: granted, shown, open from outside.
works()
{
	local external="$OUTER:$PORT"
	[ "$3" = 4 ] || external="[$INNER6]:$PORT"
	check "$1/granted" "$(mappings)" wait_until "has $2 '$external'" 30
	check "$1/router_has_it" "no rule in the router" wait_until "maps$3" 2
	check "$1/lets_b_in" "B is not connected" wait_until 'connected B A && connected A B' 10
}

# gives_back NAME FAMILY: warpd of A ends.
gives_back()
{
	local begun took
	begun=$(now_us)
	stop A
	took=$((($(now_us) - begun) / 1000))
	check "$1/given_back" "the router still has it" wait_until "! maps$2" 1
	record "portmap/$1" exit_takes "$took" ms "<= 3000"
	check "$1/exit_is_bounded" "took $took ms" [ "$took" -le 3000 ]
	stop B
}

# one NAME PROTOCOL FAMILY LIFETIME
one()
{
	configure "$3" "$4"
	forget_mappings
	start_router
	check "$1/closed_before" "the router has it already" not "maps$3"
	start_warpd A B
	works "$1" "$2" "$3"
}

# --- one protocol at a time; short-lived, so that they are renewed again and again

for protocol in pcp nat-pmp upnp; do
	case $protocol in
	pcp) speaks "$NO_NATPMP" "$NO_UPNP" ;;
	nat-pmp) speaks "$NO_PCP" "$NO_UPNP" ;;
	upnp) speaks "$NO_PCP" "$NO_NATPMP" ;;
	esac
	one $protocol $protocol 4 4s
	# miniupnpd may take its rule away and make another: for a moment there is none.
	check $protocol/renewed "the router does not have it any more" \
		for_seconds 9 "wait_until maps4 1 && has $protocol $OUTER:$PORT"
	check $protocol/leaves_no_process "$(children)" wait_until '[ -z "$(children)" ]' 2
	gives_back $protocol 4
	stop router
done

# --- IPv6: a hole in the firewall

speaks "$NO_UPNP"
# A question is repeated after 3 s (RFC 6887 8.1.1): half of the lifetime is more than that.
one ipv6/pcp pcp 6 8s
# To renew a pinhole miniupnpd takes its rule away and makes another: for a moment there is none.
check ipv6/pcp/renewed "the router does not have it any more" for_seconds 13 'wait_until maps6 1'
# miniupnpd 2.3.1 does not take back a pinhole that was renewed; it ends with its lifetime.
stop A
stop B
check ipv6/pcp/not_renewed_for_ever "the router still has it" wait_until '! maps6' 45
stop router
# It takes a question that had to be repeated for such a renewal: then once more.
speaks "$NO_UPNP"
given_back=false
for try in 1 2 3; do
	one "ipv6/pcp/lasting/$try" pcp 6 1h
	stop A
	stop B
	wait_until '! maps6' 1 && given_back=true
	stop router
	if $given_back; then
		break
	fi
done
check ipv6/pcp/lasting/given_back "the router still has it" $given_back

speaks "$NO_PCP"
one ipv6/upnp upnp 6 1h
gives_back ipv6/upnp 6
stop router

# --- all of them: the best is taken; and the router starts again, with nothing

speaks
one all pcp 4 1h
# By its clock; a younger one could be a slow one (RFC 6887 8.5).
check stays "$(mappings)" for_seconds 5 "maps4 && has pcp $OUTER:$PORT"
stop router KILL
forget_mappings
start_router
# It announces itself when it is told to, not by itself.
kill -USR1 "$(pid router)"
check restarted_router_is_asked_again "the router does not have it" wait_until maps4 10
# --- a change of the configuration
sed -i 's/^interfaces:/&\n  port_mapping: false/' "$LAB/A.yaml"
warp -s "$LAB/A.sock" reload >/dev/null
check switched_off/given_back "the router still has it" wait_until '! maps4' 2
check switched_off/shown "$(mappings)" status_is A '.interfaces | all(.port_mapping == null)'
sed -i 's/port_mapping: false/port_mapping: true/' "$LAB/A.yaml"
warp -s "$LAB/A.sock" reload >/dev/null
check switched_on "$(mappings)" wait_until "maps4 && has pcp $OUTER:$PORT" 5

# --- another gateway, at which nobody answers; and back

elsewhere=${GATEWAY[A/eth0]%.1}.9
ip_in "$router" addr add "$elsewhere/24" dev lan
ip_in A route replace default via "$elsewhere" dev eth0 metric "${METRIC[A/eth0]}"
check changed_gateway/old_mapping_is_void "$(mappings)" wait_until "! has pcp $OUTER:$PORT" 2
ip_in A route replace default via "${GATEWAY[A/eth0]}" dev eth0 metric "${METRIC[A/eth0]}"
check changed_gateway/asked_at_once "$(mappings)" wait_until "has pcp $OUTER:$PORT" 5
gives_back all 4

# --- with a map: it gets through to the port, and tells the peer; two symmetric NATs meet directly

pairs_map
host C
uplink C eth0 nat=symmetric
INTERFACES="listen_port: $PORT" pair_conf A C
pair_conf C A
start_warpd A C
check map/verified "$(mappings)" wait_until "status_is A '.interfaces | any(.port_mapping.verified)'" 15
check map/peer_comes_in "$(status C .peers[0].paths -c)" \
	wait_until "status_is C '.peers[0].paths | any(.origin == \"router\" and .state == \"live\")'" 10
stop A
stop C
lab_end
