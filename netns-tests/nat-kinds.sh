#!/usr/bin/env bash
# The laboratory itself: is every kind of NAT what it says, and do links drop what they are told to?
#
#   A -- router (each kind of NAT in turn) --+
#                                            +-- internet -- S (two addresses, two ports)
#   B -- link that loses 30 % ---------------+
#
# natprobe tells mapping and filtering from what S sees and what comes back (RFC 4787, RFC 5780).
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin jq netns/natprobe netns/numbers

lab_internet
host S
uplink S eth0
first=${ADDRESS[S/eth0]}
second=${first%.2}.3
ip_in S addr add "$second/24" dev eth0
spawn S serve "$WARP_BUILD/netns/natprobe" serve "$first" "$second" 3478
wait_until 'listens S udp 3479' 5 || lab_die "natprobe serves not"

# kind NAT EXPECTED
kind()
{
	local seen
	host "A-$1"
	uplink "A-$1" eth0 "nat=$1"
	seen=$(run_in "A-$1" "$WARP_BUILD/netns/natprobe" ask "$first" "$second" 3478)
	check "$1" "is '$seen', not '$2'" [ "$seen" = "$2" ]
}

kind none 'EIM/EIF none'
kind full-cone 'EIM/EIF preserved'
kind address-restricted 'EIM/ADF preserved'
kind port-restricted 'EIM/APDF preserved'
kind symmetric-address 'ADM/APDF other'
kind symmetric 'APDM/APDF other'
kind sequential 'APDM/APDF sequential'
kind firewall 'EIM/APDF none'

# Two hosts at a time must not share a mapping; UDP that comes unasked must not pass.
host B
uplink B eth0
link_loss B eth0 30
receive S loss "udp:$first:9000" -n 2000 -i 500
send B "udp:$first:9000" -n 2000 -r 10000 >/dev/null
await loss 10
lost=$(said loss .lost)
check loss_is_30_percent "lost $lost of 2000" [ "$lost" -ge 500 -a "$lost" -le 700 ]
check loss_is_counted "counted $(link_dropped B eth0), lost $lost" [ "$(link_dropped B eth0)" = "$lost" ]
check loss_is_counted_for_the_path "counted $(link_dropped B eth0 up "$first"), lost $lost" \
	[ "$(link_dropped B eth0 up "$first")" = "$lost" ]
link_cut B eth0
check cut_link_carries_nothing "ping passes" not run_in B ping -c 3 -i 0.05 -W 0.2 -q "$first"
link_mend B eth0
check mended_link_carries "ping does not pass" run_in B ping -c 1 -W 1 -q "$first"
link_down B eth0
check pulled_cable_is_seen "there is a carrier" \
	wait_until '! has_carrier B eth0' 2
link_up B eth0
check cable_is_back "ping does not pass" wait_until "run_in B ping -c 1 -W 1 -q $first" 3
lab_end
