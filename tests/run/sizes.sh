#!/usr/bin/env bash
# Rooms stay small: no file of src/, include/ or tools/ above 500 lines, no function above 100,
# nine of ten functions under 50, the median at most 15 (from the opening brace to the closing one).
# clang-format holds a function's braces in the first column, so counting needs no parser.
# shellcheck source=tests/run/lib.sh
. "$(dirname "$0")/lib.sh"

FILE_MAX=500
FUNCTION_MAX=100
NINE_OF_TEN=50
MEDIAN_MAX=15
failed=0

verdict()
{
	if [ -z "$3" ]; then
		ok "sizes/$1"
	else
		not_ok "sizes/$1" "$2"
		sed 's/^/    /' <<<"$3"
		failed=1
	fi
}

mapfile -t files < <(find src include tools -name '*.[ch]' | sort)
if [ ${#files[@]} = 0 ]; then
	not_ok sizes "there are no sources"
	exit 1
fi

verdict files "files above $FILE_MAX lines" "$(
	wc -l "${files[@]}" | awk -v max=$FILE_MAX '$2 != "total" && $1 > max { print $2 ": " $1 " lines" }'
)"

# "lines file:line" of every function.
lengths=$(awk '
	FNR == 1 { start = 0 }
	/^\{/ { start = FNR }
	/^\}/ { if (start) print FNR - start + 1, FILENAME ":" start; start = 0 }' "${files[@]}" | sort -n)

verdict functions "functions above $FUNCTION_MAX lines" "$(
	awk -v max=$FUNCTION_MAX '$1 > max { print $2 ": " $1 " lines" }' <<<"$lengths"
)"
verdict nine-of-ten "more than one of ten functions has $NINE_OF_TEN lines or more" "$(
	awk -v max=$NINE_OF_TEN '
	NF && $1 >= max { long++ }
	END { if (long * 10 > NR) print long " of " NR }' <<<"$lengths"
)"
verdict median "the median function is above $MEDIAN_MAX lines" "$(
	awk -v max=$MEDIAN_MAX '
	{ n[NR] = $1 }
	END { m = n[int((NR + 1) / 2)]; if (m > max) print m " lines, of " NR " functions" }' <<<"$lengths"
)"
exit "$failed"
