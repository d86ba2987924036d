#!/usr/bin/env bash
# The core is pure: check-pure.sh ARCHIVE
#
# What the archive needs from outside must be in core-symbols.txt; cryptography may be called by
# crypto.o alone; nothing in it may be changed at run time but through a pointer given to it; and a
# folder of the core calls only those that src/README.md lists below it.
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

archive=$1
allowed=$(dirname "$0")/core-symbols.txt
failed=0

# verdict NAME WHAT LINES: fails when there are any lines.
verdict()
{
	if [ -z "$3" ]; then
		ok "pure/$1"
		return
	fi
	not_ok "pure/$1" "$2"
	sed 's/^/    /' <<<"$3"
	failed=1
}

if ! nm "$archive" 2>/dev/null | grep -q ' T '; then
	not_ok pure "no functions in $archive"
	exit 1
fi

# "object symbol" of everything that some object needs and no object of the archive has.
outside()
{
	awk '
	NR == FNR { have[$1] = 1; next }
	/:$/ { object = substr($1, 1, length($1) - 1); next }
	NF == 2 && !($2 in have) { print object, $2 }' \
		<(nm --defined-only --extern-only --format=posix "$archive") <(nm --undefined-only "$archive")
}

verdict symbols "the core needs these symbols, which tests/run/core-symbols.txt does not allow" "$(
	outside | awk -v crypto='^(crypto|sodium|randombytes)_' '
	NR == FNR { if ($1 !~ /^#/ && NF) allow[$1] = 1; next }
	!($2 in allow) && $2 !~ crypto { print $1 ": " $2 }' "$allowed" -
)"

verdict crypto "only crypto.o may call libsodium, and nothing in the core its random numbers" "$(
	outside | awk '
	$2 ~ /^(crypto|sodium)_/ && $1 != "crypto.o" { print $1 ": " $2 }
	$2 ~ /^randombytes/ { print $1 ": " $2 }'
)"

# .data.rel.ro holds constant tables of pointers, which the loader fills in once.
verdict globals "the core has variables that live outside of any context" "$(
	nm --format=sysv "$archive" | awk -F'|' '
	/^Symbols from/ { object = $0; gsub(/^.*\[|\]:.*$/, "", object) }
	NF >= 7 {
		gsub(/ /, "", $1); gsub(/ /, "", $7)
		if ($7 ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && $7 !~ /^\.data\.rel\.ro/)
			print object ": " $1 " in " $7
	}'
)"

# Of every object beside the archive whose source is still there: "folder symbol", T what it has, U what it needs.
symbols_of_folders()
{
	local object source
	for object in "$(dirname "$archive")"/src/core/*/*.o; do
		source=src/core/${object#*/src/core/}
		[ -f "${source%o}c" ] || continue
		nm --extern-only --format=posix "$object" |
			awk -v folder="$(basename "$(dirname "$object")")" '{ print folder, $1, $2 == "U" ? "U" : "T" }'
	done
}

verdict layers "folders of the core that need one above them in src/README.md, or are not listed there" "$(
	{
		sed -n 's,^| `core/\([a-z]*\)/` .*,\1,p' src/README.md
		symbols_of_folders
	} | awk '
	NF == 1 { level[$1] = ++levels; next }
	$3 == "T" { owner[$2] = $1; if (!($1 in level)) print $1 " is not listed" }
	$3 == "U" { needs[$1 " " $2] }
	END {
		for (n in needs) {
			split(n, need, " ")
			to = owner[need[2]]
			if (to != "" && level[to] < level[need[1]])
				print need[1] " needs " need[2] " of " to
		}
		if (!levels) print "src/README.md lists none"
	}' | sort -u
)"
exit "$failed"
