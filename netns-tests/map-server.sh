#!/usr/bin/env bash
# warp-map as a program: a server with several addresses answers from the one that was asked, takes
# allowed_clients from a changed configuration, needs no privilege, and says clearly why it cannot run.
#
#              +-- eth0 M        M listens on 0.0.0.0 and [::]; its answers to C would all leave from
#    C -- internet               eth0's address if the kernel chose
#              +-- eth1 M
# timeout: 60
# shellcheck source=netns-tests/lib/lab.sh
. "$(dirname "$0")/lib/lab.sh"
lab_begin warp-map netns/mapclient ss

lab_internet
host M
host C
uplink M eth0 family=46
uplink M eth1 family=46
uplink C eth0 family=46

key() { head -c 32 /dev/urandom | base64; }
umask 077
key >"$LAB/map.key"
client=$(key)
printf 'private_key_file: %s\n' "$LAB/map.key" >"$LAB/map.yaml"

# starts NAME: until it listens.
starts()
{
	spawn M "$1" "$WARP_BUILD/warp-map" -v -c "$LAB/map.yaml"
	wait_until 'listens M udp 13116' 5
}
# asks ADDRESS [PRIVATE-KEY]: registers, prints how the map sees C.
asks() { run_in C "$WARP_BUILD/netns/mapclient" "$1:13116" "$public" "${@:2}"; }
# sees ADDRESS OWN-ADDRESS: the answer comes, and says that C is OWN-ADDRESS.
sees() { [[ $(asks "$1") == "$2":* ]]; }

check starts "does not listen after 5 s" starts map
check tells_its_key "not in 5 s" wait_until 'grep -q "public key" "$LAB/map.log"' 5
public=$(sed -n 's/.* public key //p' "$LAB/map.log")

for dev in eth0 eth1; do
	check "answers_from_the_ipv4_address_asked/$dev" "no answer from ${ADDRESS[M/$dev]}" \
		sees "${ADDRESS[M/$dev]}" "${ADDRESS[C/eth0]}"
	check "answers_from_the_ipv6_address_asked/$dev" "no answer from ${ADDRESS6[M/$dev]}" \
		sees "[${ADDRESS6[M/$dev]}]" "[${ADDRESS6[C/eth0]}]"
done
ip_in M addr add 11.1.0.77/24 dev eth0
check answers_from_an_address_that_came_later "no answer from 11.1.0.77" \
	sees 11.1.0.77 "${ADDRESS[C/eth0]}"

no_capabilities() { ! grep -E '^Cap(Prm|Eff|Bnd):.*[1-9a-f]' "/proc/$(pid map)/status"; }
check keeps_no_capability "$(grep Cap "/proc/$(pid map)/status")" no_capabilities

# --- configuration

reloaded() { [ "$(grep -c 'was read again' "$LAB/map.log")" = "$1" ]; }
reload()
{
	local before
	before=$(grep -c 'was read again' "$LAB/map.log")
	kill -HUP "$(pid map)"
	wait_until "reloaded $((before + 1))" 2
}
map=${ADDRESS[M/eth0]}
printf 'allowed_clients: [%s]\n' "$public" >>"$LAB/map.yaml"
reload
check a_reload_forbids "still answers" not asks "$map" "$client"
sed -i '/allowed/d' "$LAB/map.yaml"
reload
check a_reload_allows "does not answer" asks "$map" "$client"
cp "$LAB/map.yaml" "$LAB/good.yaml"
echo 'lisen: []' >>"$LAB/map.yaml"
kill -HUP "$(pid map)"
check a_bad_reload_tells_where "no file:line:column" \
	wait_until "grep -q 'map.yaml:2:1: .*lisen' $LAB/map.log" 2
check a_bad_reload_changes_nothing "does not answer" asks "$map" "$client"

# exits STATUS: warp-map ends at once with this status and one line.
exits()
{
	run_in M timeout 5 "$WARP_BUILD/warp-map" -c "$LAB/map.yaml" "${@:2}" >"$LAB/said" 2>&1
	[ $? = "$1" ] && [ "$(wc -l <"$LAB/said")" = 1 ]
}
check bad_configuration_is_status_2 "$(cat "$LAB/said" 2>/dev/null)" exits 2
check bad_arguments_are_status_2 "$(cat "$LAB/said")" exits 2 extra
cp "$LAB/good.yaml" "$LAB/map.yaml"
check a_port_in_use_is_status_1 "$(cat "$LAB/said")" exits 1

# --- the end, and again

ends() { stop map TERM; }
check sigterm_is_status_0 "not 0" ends
check starts_again "does not listen after 5 s" starts map
check answers_again "does not" asks "$map" "$client"
lab_end
