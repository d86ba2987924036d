#!/usr/bin/env bash
# Makes build/warp_VERSION_ARCH.deb of what `make install` installs: deb.sh VERSION
# The libraries that it depends on are found in the programs themselves.
set -eu

version=$1
arch=$(dpkg --print-architecture)
build=$PWD/build/deb
root=$build/root
rm -rf "$build"
mkdir -p "$build/debian" "$root/DEBIAN"

make -s --no-print-directory install DESTDIR="$root" PREFIX=/usr UNITDIR=/lib/systemd/system
find "$root/usr/share/man" -type f -exec gzip -9n {} + 2>/dev/null || true
strip --strip-unneeded "$root"/usr/bin/* "$root"/usr/sbin/*

# dpkg-shlibdeps wants to stand in a source package.
printf 'Source: warp\n\nPackage: warp\nArchitecture: any\n' >"$build/debian/control"
depends=$(cd "$build" && dpkg-shlibdeps -O root/usr/bin/* root/usr/sbin/* 2>/dev/null |
	sed -n 's/^shlibs:Depends=//p')

cat >"$root/DEBIAN/control" <<EOF
Package: warp
Version: $version
Architecture: $arch
Maintainer: The warp authors <warp@localhost>
Section: net
Priority: optional
Depends: $depends
Installed-Size: $(du -sk "$root/usr" | cut -f 1)
Description: one tunnel over every network link
 warp carries application data over every network link that two hosts have, at
 once. What one link loses, another delivers; when a link dies, nothing is lost.
 This package holds the daemon (warpd), the server where nodes meet (warp-map)
 and the command to look after them (warp).
EOF
dpkg-deb --root-owner-group -Zxz --build "$root" "build/warp_${version}_$arch.deb"
