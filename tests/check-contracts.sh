#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every function that a header declares has its contract: a comment that ends
# right above it. One comment may serve a run of prototypes with no empty line
# between them. Every source file opens with its licence and a comment that
# says what it is. Tries itself on planted violations first.

# check_headers FILE…: prints each prototype without a comment.
check_headers() {
	awk '
	FNR == 1 { depth = 0; inside = 0; covered = 0; statement = "" }
	# A comment, on its own lines.
	inside { if (/\*\//) { inside = 0; covered = 1 } next }
	/^[ \t]*\/\*/ && statement == "" {
		if ($0 !~ /\*\//) inside = 1
		covered = 1
		next
	}
	/^[ \t]*$/ { if (statement == "") covered = 0; next }
	/^[ \t]*#/ {
		continued = /\\$/
		while (continued && (getline line) > 0) continued = line ~ /\\$/
		next
	}
	{
		line = $0
		gsub(/\/\*[^*]*\*\//, "", line)
		gsub(/"[^"]*"/, "\"\"", line)
		if (statement == "" && depth == 0) { first = FNR; commented = covered }
		opens = gsub(/\{/, "{", line)
		closes = gsub(/\}/, "}", line)
		if (depth == 0 && opens == 0) statement = statement " " line
		else if (depth == 0) head = statement " " line
		depth += opens - closes
		if (depth == 0 && opens + closes > 0) { statement = ""; next }
		if (depth == 0 && line ~ /;[ \t]*$/) {
			# A prototype: a name and parentheses, and no assignment, typedef or pointer variable.
			if (statement ~ /[A-Za-z_0-9]+[ \t]*\(/ && statement !~ /=|typedef|^ *_Static_assert/ &&
			    !commented)
				printf "%s:%d: no contract above:%s\n", FILENAME, first, statement
			statement = ""
		}
	}' "$@"
}

# check_heads FILE…: prints each file without licence line or head comment.
check_heads() {
	awk '
	FNR == 1 && !/SPDX-License-Identifier: GPL-3.0-or-later/ { print FILENAME ":1: no SPDX line" }
	FNR == 2 && !/^\/\*/ { print FILENAME ":2: no head comment" }
	FNR == 2 { nextfile }' "$@"
}

# expect COUNT TEXT: the text of a header has that many bare prototypes.
expect() {
	local scratch found
	scratch=$(mktemp) || exit 1
	printf '%b' "$2" >"$scratch"
	found=$(check_headers "$scratch" | wc -l)
	rm -f "$scratch"
	if [ "$found" -ne "$1" ]; then
		echo "self-test: $found found, $1 expected in:"
		printf '%b' "$2"
		exit 1
	fi
}

expect 0 '/* Does a. */\nint a(void);\n'
expect 0 '/* Do both. */\nint a(void);\nint b(int x,\n      int y);\n'
expect 0 '/* Opaque. */\nstruct a;\n\nstruct b {\n\tint (*call)(void);\n};\n'
expect 1 'int a(void);\n'
expect 1 '/* Does a. */\n\nint a(void);\n'
expect 1 '/* Does a. */\nint a(void);\n\nint b(int x,\n      int y) __attribute__((nonnull));\n'
expect 1 '#define A(x) \\\\\n\tdo(x)\n\nstruct s *b(void); /* behind */\n'

top=${top_srcdir:-.}
mapfile -t headers < <(find "$top/src" "$top/tools" -name '*.h')
mapfile -t sources < <(find "$top/src" "$top/tools" "$top/tests" "$top/bench" -name '*.[ch]')
[ ${#headers[@]} -gt 0 ] || {
	echo "no header in $top"
	exit 1
}
found=$(
	check_headers "${headers[@]}"
	check_heads "${sources[@]}"
)
[ -z "$found" ] || {
	echo "$found"
	exit 1
}
