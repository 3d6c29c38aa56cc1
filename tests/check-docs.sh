#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every subcommand that garner --help names has a man page and a completion,
# and its --help names the same options as its man page, both ways. Every man
# page and every completed subcommand exists.
# Reads the program at $GARNER.

top=${top_srcdir:-.}
result=0

complain() {
	echo "$*"
	result=1
}

# The long options in a text, each once.
long_options() {
	grep -oE -- '(^|[^-A-Za-z0-9])--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

# The SYNOPSIS and OPTIONS of a man page as plain text.
man_options() {
	awk '/^\.SH/ { on = /SYNOPSIS|OPTIONS/ } on' "$1" |
		sed -e 's/\\-/-/g' -e 's/\\f[BIRP]//g' -e 's/\\&//g'
}

sample='.SH OPTIONS\n.B \\-\\-json\n.SH SEE ALSO\n\\-\\-wait\n'
if [ "$(man_options <(printf "$sample") | long_options)" != --json ]; then
	echo "self-test: the options of a man page are not found"
	exit 1
fi

help=$("$GARNER" --help) || complain "garner --help fails"
mapfile -t subcommands < <(sed -nE 's/^  +([a-z]+)( .*)?$/\1/p' <<<"$help" | sort -u)
[ ${#subcommands[@]} -ge 5 ] || complain "garner --help names no subcommands"

for sub in "${subcommands[@]}"; do
	page=$top/man/garner-$sub.1
	if ! [ -f "$page" ]; then
		complain "garner $sub: no man page"
		continue
	fi
	text=$("$GARNER" "$sub" --help) || complain "garner $sub --help fails"
	head -n 1 <<<"$text" | grep -q "garner $sub" || complain "garner $sub --help opens without its usage"
	differ=$(diff <(long_options <<<"$text") <(man_options "$page" | long_options)) ||
		complain "garner $sub: --help (<) and man page (>) differ:
$differ"
	grep -qw -- "$sub" "$top/completion/garner.bash" || complain "garner $sub: no completion"
	grep -qE "garner(-|\\\\-)$sub" "$top/man/garner.1" || complain "garner $sub: not in garner.1"
done

for page in "$top"/man/garner-*.1; do
	sub=$(basename "$page" .1)
	sub=${sub#garner-}
	[[ " ${subcommands[*]} " == *" $sub "* ]] || complain "$page: there is no garner $sub"
done
exit $result
