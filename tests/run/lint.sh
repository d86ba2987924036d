#!/usr/bin/env bash
# What tools say about the source: clang-tidy, cppcheck, shellcheck, mandoc, clang-format.
# A file that clang-tidy had nothing to say about is not asked about again (build/lint/) until it, a
# header that it includes, or .clang-tidy changes.
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

failed=0
mkdir -p "$LOGS" build/lint/cppcheck

# judge NAME COMMAND...: it passes when the command does. Of much that a tool says, what is shown are
# the lines that name a mistake; the rest is in the log.
judge()
{
	local name=$1 log=$LOGS/lint-$1.log
	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		ok "lint/$name"
	else
		if [ "$(wc -l <"$log")" -le 60 ] || ! grep -E '(error|warning): ' "$log" >"$log.brief"; then
			cp "$log" "$log.brief"
		fi
		not_ok "lint/$name" "see $log" "$log.brief"
		failed=1
	fi
}

# stale FILE: whether clang-tidy must look at it again. The compiler's list of headers tells.
stale()
{
	local stamp=build/lint/$1.clean list=build/${1%.c}.d header
	[ -f "$stamp" ] && [ -f "$list" ] || return 0
	[ ! .clang-tidy -nt "$stamp" ] && [ ! "$1" -nt "$stamp" ] || return 0
	while read -r header; do
		[ ! "$header" -nt "$stamp" ] || return 0
	done < <(sed 's/^[^:]*://; s/\\$//' "$list" | tr -s ' ' '\n' | grep '\.h$' | grep -v '^/')
	return 1
}

# tidy_one FILE FLAG...
tidy_one()
{
	local file=$1 stamp=build/lint/$1.clean
	shift
	mkdir -p "$(dirname "$stamp")"
	# The stamp is as old as the beginning: what changes meanwhile is asked about again.
	touch "$stamp.begun"
	if clang-tidy --quiet "$file" -- -std=gnu17 "$@" 2>"$stamp.err"; then
		mv "$stamp.begun" "$stamp"
		return 0
	fi
	# What it says on stderr is of interest when it could not even read the file.
	grep -A 20 -i '^error' "$stamp.err"
	return 1
}

tidy()
{
	local file
	for file in "${sources[@]}"; do
		! stale "$file" || printf '%s\0' "$file"
	done | xargs -0 -r -P "$JOBS" -I{} tests/run/lint.sh --tidy-one {} "${flags[@]}"
}

if [ "${1:-}" = --tidy-one ]; then
	shift
	tidy_one "$@"
	exit
fi

none() { echo "there are none"; false; }

# One line a file says more than one for each place in it; `make format` mends them all.
unformatted()
{
	local file status=0
	for file in "${formatted[@]}"; do
		clang-format --dry-run -Werror "$file" 2>/dev/null && continue
		echo "$file: $(clang-format "$file" | diff "$file" - | grep -c '^<') lines; make format"
		status=1
	done
	return "$status"
}

mapfile -t flags < <(make -s --no-print-directory print-cppflags | xargs -n 1 printf '%s\n')
mapfile -t sources < <(find src tools netns-tests/tools -name '*.c' 2>/dev/null | sort)
mapfile -t formatted < <(find src include tools tests netns-tests -name '*.[ch]' | sort)
mapfile -t scripts < <(
	find tests netns-tests packaging -name '*.sh' | sort
	grep -lE '^#!.*\b(ba)?sh\b' .ci/* 2>/dev/null
)
mapfile -t pages < <(find man -name '*.[1-8]' 2>/dev/null | sort)

judge cppcheck cppcheck --quiet -j "$JOBS" --std=c11 --language=c --inline-suppr --error-exitcode=1 \
	--enable=warning,performance,portability \
	--suppressions-list=tests/run/cppcheck-suppressions.txt --cppcheck-build-dir=build/lint/cppcheck \
	--template=gcc -D_GNU_SOURCE -D__linux__ '-DWARP_VERSION="0"' -Iinclude -Isrc "${sources[@]}"
judge shellcheck shellcheck -x "${scripts[@]}"
if [ ${#pages[@]} = 0 ]; then judge mandoc none; else judge mandoc mandoc -T lint -W warning "${pages[@]}"; fi
judge clang-format unformatted
judge clang-tidy tidy
exit "$failed"
