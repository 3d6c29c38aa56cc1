#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# No source file over 1000 lines, and 95 of 100 functions no longer than 45.
# Prints the longest of both. Tries itself on a planted violation first.

file_max=1000
file_wish=500
function_p95=45

# function_lengths FILE…: "LENGTH FILE:LINE" of every function, braces at the margin.
function_lengths() {
	awk 'FNR == 1 { start = 0 }
	/^\{/ { start = FNR }
	/^\}/ && start { print FNR - start - 1, FILENAME ":" start; start = 0 }' "$@"
}

# p95 of numbers on standard input.
p95() {
	sort -n | awk '{ n[NR] = $1 } END { if (NR) print n[int((NR * 95 + 99) / 100)]; else print 0 }'
}

scratch=$(mktemp) || exit 1
printf 'int a(void)\n{\n\tone;\n\ttwo;\n}\nstruct s {\n};\nint b(void)\n{\n}\n' >"$scratch"
lengths=$(function_lengths "$scratch" | cut -d' ' -f1 | tr '\n' ' ')
rm -f "$scratch"
if [ "$lengths" != "2 0 " ] || [ "$(seq 1 100 | p95)" != 95 ] || [ "$(seq 1 20 | p95)" != 19 ]; then
	echo "self-test: lengths $lengths"
	exit 1
fi

cd "${top_srcdir:-.}" || exit 1
mapfile -t sources < <(find src tools tests bench -name '*.[ch]' | sort)
result=0
while read -r lines file; do
	[ "$lines" -le $file_wish ] || echo "$file: $lines lines, $file_wish are wished"
	[ "$lines" -le $file_max ] || {
		echo "$file: $lines lines, $file_max at most"
		result=1
	}
done < <(wc -l "${sources[@]}" | sed '$d')

mapfile -t code < <(find src tools -name '*.c' | sort)
all=$(function_lengths "${code[@]}" | sort -rn)
now=$(cut -d' ' -f1 <<<"$all" | p95)
echo "functions: $(wc -l <<<"$all"), 95 of 100 within $now lines; the longest:"
head -n 12 <<<"$all"
[ "$now" -le $function_p95 ] || {
	echo "95 of 100 functions should be within $function_p95 lines"
	result=1
}
exit $result
