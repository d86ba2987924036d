#!/usr/bin/env bash
# Installs the Debian packages that are missing: deps.sh all|demo
# Asks dpkg first, so that it costs nothing when everything is there. Exit 2 when it cannot.
set -u

# To build the programs and to run them in namespaces.
demo=(
	build-essential pkg-config libsodium-dev libisal-dev libmnl-dev libnl-3-dev libnl-route-3-dev
	libev-dev libyaml-dev libjansson-dev libcap-ng-dev libpcre2-dev libnatpmp-dev libminiupnpc-dev
	iproute2 iputils-ping nftables python3 procps socat jq iperf3
)
# To test them, and to judge the source.
tests=(
	git libcmocka-dev clang clang-tidy clang-format llvm libclang-rt-14-dev cppcheck shellcheck
	mandoc gcovr
	conntrack tcpdump curl openssh-server openssh-client wireguard-go wireguard-tools ethtool
	python3-cryptography psmisc miniupnpd-nftables
	stun-client stun-server coturn
)

# The faster ciphers are for x86-64 alone.
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || demo+=(libipsec-mb-dev)

case ${1:-all} in
demo) wanted=("${demo[@]}") ;;
all) wanted=("${demo[@]}" "${tests[@]}") ;;
*)
	echo "usage: deps.sh all|demo" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "warp: this is not a Debian system; needed here are what these packages hold: ${wanted[*]}" >&2
	exit 2
fi

# A package counts as there when it is installed, or when another one provides it.
installed=" $(dpkg-query -W -f '${db:Status-Abbrev}|${Package}, ${Provides}\n' |
	sed -n 's/^ii *|//p' | sed 's/([^)]*)//g' | tr ',\n' '  ') "
missing=()
for package in "${wanted[@]}"; do
	[[ $installed == *" $package "* ]] || missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then
	echo "deps: all ${#wanted[@]} packages are installed"
	exit 0
fi

if [ "$(id -u)" != 0 ]; then
	echo "warp: these packages are missing; as root: apt-get install ${missing[*]}" >&2
	exit 2
fi
echo "deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt_get() { apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
if ! apt_get update || ! apt_get install --no-install-recommends "${missing[@]}"; then
	echo "warp: installing the packages failed; see above" >&2
	exit 2
fi
# Wanted as programs that tests run, not as services of this machine.
for service in coturn stun; do
	[[ " ${missing[*]} " == *" $service"[\ -]* ]] || continue
	if [ -d /run/systemd/system ]; then
		systemctl disable --now "$service" 2>/dev/null
	elif [ -x "/etc/init.d/$service" ]; then
		"/etc/init.d/$service" stop >/dev/null 2>&1
	fi
done
echo "deps: all ${#wanted[@]} packages are installed"
