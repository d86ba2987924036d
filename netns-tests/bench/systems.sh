# shellcheck shell=bash
# The systems that are measured: what each needs, how it is started on both hosts, what is measured of it.
#
# start_NAME sets DAEMONS (names of spawned processes, for CPU and memory), TARGET and SOURCE (B's and A's
# inner addresses), and returns when a ping passes. It returns 1 with WHY set when the system does not
# come up, 3 when this build of warp does not know it. All rivals have what their manuals recommend for
# speed and the same inner MTU; none has more than one path.

# run.sh sets SYSTEM and uses what is set here.
# shellcheck disable=SC2034,SC2153

# Inner MTU for all: 1,400 bytes in an UDP datagram. It fits each of them into one packet of 1,500.
INNER_MTU=1428
UNDERLAY_PORT=51900

SYSTEMS=(raw wireguard-go fastd openvpn tinc warp warp-chacha warp-sodium warp-2path warp-4path warp-gate)
DAEMONS=()
TARGET=
SOURCE=
WHY=

# The tests of a system.
tests_of()
{
	case $1 in
	warp-chacha | warp-sodium) echo tcp1 tcp4 cost ;;
	warp-?path) echo tcp1 cost ;;
	warp-gate) echo udp rtt cost ;;
	raw) echo ping tcp1 tcp4 udp ;;
	*) echo ping tcp1 tcp4 udp cost ;;
	esac
}

# The Debian packages of a system.
packages_of()
{
	case $1 in
	wireguard-go) echo wireguard-go wireguard-tools ;;
	fastd | tinc) echo "$1" ;;
	openvpn) echo openvpn openssl ;;
	esac
}

# install_packages PACKAGE...: those that are missing.
install_packages()
{
	local package missing=()
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
			missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	{
		apt-get -q -y -o DPkg::Lock::Timeout=300 update &&
			apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
	} </dev/null >"$LAB/apt.log" 2>&1 || { tail -n 5 "$LAB/apt.log" >&2; return 1; }
}

# up HOST DEVICE [MTU]: waits for the device that a daemon makes, gives it its address (.1 for A, .2 for B).
up()
{
	local number=1
	[ "$1" = A ] || number=2
	wait_until "ip -n $(ns "$1") link show dev $2" 5 || { WHY="$2 does not appear"; return 1; }
	ip -n "$(ns "$1")" addr replace "10.44.0.$number/24" dev "$2" &&
		ip -n "$(ns "$1")" link set dev "$2" mtu "${3:-$INNER_MTU}" up && return
	WHY="ip, of $2"
	return 1
}

# answers: until a ping passes; through the tunnel, not beside it.
answers()
{
	WHY="no answer through the tunnel"
	wait_until "run_in A ping -c 1 -W 1 -q $TARGET" 15 || return 1
	[ "$SYSTEM" != raw ] || return 0
	WHY="the route leads past the tunnel"
	not grep -q 'dev eth' <(run_in A ip route get $TARGET; run_in B ip route get $SOURCE)
}

# The other host; a host's address under the tunnels.
other() { [ "$1" = A ] && echo B || echo A; }
underlay() { [ "$1" = A ] && echo 11.1.0.1 || echo 11.1.0.2; }

# --- rivals -----------------------------------------------------------------------------------------

# The link itself, with packets of the same size.
start_raw()
{
	local host
	DAEMONS=() SOURCE=10.44.0.1 TARGET=10.44.0.2
	for host in A B; do
		up "$host" eth0 1500 && ip -n "$(ns "$host")" route replace 10.44.0.0/24 dev eth0 \
			mtu lock $INNER_MTU || return 1
	done
	answers
}

stop_raw()
{
	ip -n "$(ns A)" route del 10.44.0.0/24 dev eth0
	ip -n "$(ns B)" route del 10.44.0.0/24 dev eth0
	ip -n "$(ns A)" addr del 10.44.0.1/24 dev eth0
	ip -n "$(ns B)" addr del 10.44.0.2/24 dev eth0
}

start_wireguard_go()
{
	local host dev
	DAEMONS=() SOURCE=10.44.0.1 TARGET=10.44.0.2
	for host in A B; do
		[ -s "$LAB/wg-$host" ] || (umask 077 && wg genkey >"$LAB/wg-$host")
	done
	for host in A B; do
		# The name of its control socket, which is not private to the namespace, is that of the device.
		dev=wg$host$LAB_ID
		spawn "$host" "wg-$host" wireguard-go -f "$dev"
		DAEMONS+=("wg-$host")
		wait_until "run_in $host wg show $dev" 5 || { WHY="wireguard-go"; return 1; }
		run_in "$host" wg set "$dev" listen-port $UNDERLAY_PORT private-key "$LAB/wg-$host" \
			peer "$(wg pubkey <"$LAB/wg-$(other "$host")")" allowed-ips 0.0.0.0/0 \
			endpoint "$(underlay "$(other "$host")"):$UNDERLAY_PORT"
		up "$host" "$dev" || return 1
	done
	answers
}

# Its fastest method that encrypts (its manual's choice for machines without AES as well as with).
start_fastd()
{
	local host
	DAEMONS=() SOURCE=10.44.0.1 TARGET=10.44.0.2
	for host in A B; do
		[ -s "$LAB/fastd-$host" ] ||
			(umask 077 && fastd --generate-key --machine-readable >"$LAB/fastd-$host")
		printf 'secret "%s";\n' "$(cat "$LAB/fastd-$host")" >"$LAB/fastd-$host.conf"
		fastd --show-key --machine-readable -c "$LAB/fastd-$host.conf" >"$LAB/fastd-$host.pub" \
			2>"$LAB/fastd-key.log"
	done
	for host in A B; do
		cat >>"$LAB/fastd-$host.conf" <<-END
			mode tun;
			interface "fast0";
			bind $(underlay "$host"):$UNDERLAY_PORT;
			method "salsa2012+umac";
			mtu $INNER_MTU;
			peer "other" {
				key "$(cat "$LAB/fastd-$(other "$host").pub")";
				remote $(underlay "$(other "$host")"):$UNDERLAY_PORT;
			}
		END
		spawn "$host" "fastd-$host" fastd -c "$LAB/fastd-$host.conf"
		DAEMONS+=("fastd-$host")
		up "$host" fast0 || return 1
	done
	answers
}

openvpn_certificates()
{
	local host
	for host in A B; do
		[ ! -s "$LAB/ovpn-$host.crt" ] || continue
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 7 \
			-subj "/CN=$host" -keyout "$LAB/ovpn-$host.key" -out "$LAB/ovpn-$host.crt" \
			2>"$LAB/openssl.log" || { WHY="openssl"; return 1; }
	done
}

start_openvpn()
{
	local host role
	DAEMONS=() SOURCE=10.44.0.1 TARGET=10.44.0.2
	openvpn_certificates || return 1
	for host in A B; do
		role=(--tls-server --dh none)
		[ "$host" = A ] || role=(--tls-client)
		spawn "$host" "ovpn-$host" openvpn --dev ovpn0 --dev-type tun --proto udp4 \
			--local "$(underlay "$host")" --port $UNDERLAY_PORT \
			--remote "$(underlay "$(other "$host")")" $UNDERLAY_PORT "${role[@]}" \
			--cert "$LAB/ovpn-$host.crt" --key "$LAB/ovpn-$host.key" \
			--peer-fingerprint "$(openssl x509 -in "$LAB/ovpn-$(other "$host").crt" -noout \
				-fingerprint -sha256 | sed 's/.*=//')" \
			--data-ciphers AES-256-GCM --tun-mtu $INNER_MTU --mssfix 0 --disable-dco
		DAEMONS+=("ovpn-$host")
	done
	up A ovpn0 && up B ovpn0 || return 1
	answers
}

start_tinc()
{
	local host
	DAEMONS=() SOURCE=10.44.0.1 TARGET=10.44.0.2
	for host in A B; do
		[ ! -d "$LAB/tinc-$host" ] || continue
		mkdir -p "$LAB/tinc-$host/hosts"
		printf 'Name = %s\nInterface = tinc0\nAddressFamily = ipv4\nConnectTo = %s\n' "$host" \
			"$(other "$host")" >"$LAB/tinc-$host/tinc.conf"
		printf 'Address = %s %s\nPort = %s\nSubnet = 10.44.0.%s/32\n' "$(underlay "$host")" \
			$UNDERLAY_PORT $UNDERLAY_PORT "$([ $host = A ] && echo 1 || echo 2)" \
			>"$LAB/tinc-$host/hosts/$host"
		tincd -c "$LAB/tinc-$host" -K2048 </dev/null >"$LAB/tinc-key.log" 2>&1
	done
	cp "$LAB/tinc-A/hosts/A" "$LAB/tinc-B/hosts/"
	cp "$LAB/tinc-B/hosts/B" "$LAB/tinc-A/hosts/"
	for host in A B; do
		spawn "$host" "tinc-$host" tincd -D -c "$LAB/tinc-$host" --pidfile="$LAB/tinc-$host.pid"
		DAEMONS+=("tinc-$host")
		up "$host" tinc0 || return 1
	done
	answers
}

# --- warp -------------------------------------------------------------------------------------------

# warp_conf HOST PATHS [LINE...]: LINEs, and those of $BENCH_CONF, are at the top level.
warp_conf()
{
	local peer number=1 peer_number=2 dev endpoints=''
	[ "$1" = A ] || { number=2; peer_number=1; }
	peer=$(other "$1")
	for ((dev = 1; dev <= $2; dev++)); do
		endpoints+="${endpoints:+, }\"11.$dev.0.$peer_number:$UNDERLAY_PORT\""
	done
	INTERFACES="listen_port: $UNDERLAY_PORT
  inclusion_patterns: [\"eth[0-$(($2 - 1))]\"]" conf "$1" <<-END
		far_gate:
		$(far_gate "$peer" "endpoints: [$endpoints]" "allowed_ips: [10.44.0.$peer_number/32]")
		tunnels:
		  - name: net
		    gate: { tun: warp0, address: [10.44.0.$number/24], mtu: $INNER_MTU }
		  - name: gate
		    gate: { application_to_gate: "127.1.0.1:9000", gate_to_application: "127.1.0.1:9001" }
		$(printf '%s\n' "${@:3}")
		${BENCH_CONF:-}
	END
}

# warp_up PATHS [LINE...]
warp_up()
{
	local host
	DAEMONS=(A B) SOURCE=10.44.0.1 TARGET=10.44.0.2
	for host in A B; do
		warp_conf "$host" "$@"
		if ! WHY=$(warp check "$LAB/$host.yaml" 2>&1 >/dev/null); then
			WHY=$(head -n 1 <<<"$WHY" | sed 's/^.*\.yaml:/line /')
			return 3
		fi
	done
	for host in A B; do launch_warpd "$host"; done
	WHY="$1 paths are not live"
	wait_until "connected A B $1 && connected B A $1" 10 || return 1
	WHY="the sizes of the paths are not found"
	wait_until 'sized A && sized B' 10 || return 1
	CIPHER=$(status A '.peers[0] | [.cipher, .crypto // empty] | join(" by ")')
	answers
}
CIPHER=

# sized HOST: a packet of the inner MTU passes each live path in one datagram.
sized()
{
	status_is "$1" "[.peers[].paths[] | select(.state == \"live\") | .mtu] | min >= $((INNER_MTU + 39))"
}

start_warp() { warp_up 1; }
start_warp_gate() { warp_up 1; }
start_warp_2path() { warp_up 2; }
start_warp_4path() { warp_up 4; }
start_warp_chacha() { warp_up 1 'cipher: chacha20-poly1305'; }
start_warp_sodium() { warp_up 1 'crypto: libsodium' 'cipher: aes-256-gcm'; }

# --- all --------------------------------------------------------------------------------------------

start_system() { "start_${1//-/_}"; }

stop_system()
{
	local daemon
	for daemon in "${DAEMONS[@]}"; do stop "$daemon"; done
	DAEMONS=()
	[ "$SYSTEM" != raw ] || stop_raw
	wait_until '[ -z "$(ip -n "$(ns A)" addr show to 10.44.0.1)$(ip -n "$(ns B)" addr show to 10.44.0.2)" ]' 5
}
