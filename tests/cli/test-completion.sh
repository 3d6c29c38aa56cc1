#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The completion for bash offers what it should, and every option that --help names; that for zsh, where zsh is, reads without a mistake and has the same options.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
: "${top_srcdir:=.}"
top=$(realpath "$top_srcdir")
mkdir "$work/bin" && ln -s "$GARNER" "$work/bin/garner" && PATH=$work/bin:$PATH || exit 1
cd "$work" || exit 1

{
	garner init library && garner mkdir library Photos 'Photos/two words' "Photos/$(printf 'caf\xe9')" Papers trashed
	garner rm -r library trashed
	mkdir elsewhere
} >/dev/null || fail "the library"

. "$top/completion/garner.bash"
# Outside of a completion compopt has nothing to change.
compopt() { :; }

# offers WANTED WORD…: what is offered for the last word, sorted, separated by '|'.
offers() {
	local wanted=$1 got
	shift
	COMP_WORDS=(garner "$@")
	COMP_CWORD=$#
	_garner
	got=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd'|')
	[ "$got" = "$wanted" ] || fail "garner $*: offers '$got', wanted '$wanted'"
}

offers 'mkdir|mount|mv' m
offers 'status' statu
offers '--help|--version' --
offers 'library' ls lib
offers 'bin|elsewhere|library' ls ''
offers '' ls nosuch
offers 'Papers/|Photos/' ls library ''
offers 'Papers/|Photos/' ls -l library P
offers '/Papers/|/Photos/' du library /
offers "$(printf 'Photos/caf\xe9/|Photos/two words/')" stat library Photos/
offers 'Photos/two words/' stat library 'Photos/two\ w'
offers 'Photos/two words/' stat library '"Photos/two w'
offers 'Papers/' mv library Photos Pa
offers 'Papers/' mkdir library Pa
offers '/trashed' restore library ''
offers '/trashed' purge library /t
offers '--force|--help|--recursive' rm --
offers 'fastcdc|fixed' init --chunker ''
offers 'sha256' init --hash s
offers 'relatime|remount|ro|rw' mount -o r
offers 'ro,noatime' mount -o ro,noat
offers 'library' mount -o ro lib
offers 'elsewhere' mount library el
offers '' mount library elsewhere ''
offers '' history library Photos ''
offers 'bin|elsewhere|library' import library ''
offers 'Papers/|Photos/' import library elsewhere --into P
offers 'Papers/|Photos/' export library ''
offers 'elsewhere' export library Photos el

# Every option of --help, in both.
mapfile -t commands < <(garner --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
for c in "${commands[@]}"; do
	[[ " $_garner_commands " == *" $c "* ]] || fail "bash: no command $c"
	wanted=$(garner "$c" --help | sed -nE 's/^  (-.,| {3}) (--[a-z0-9-]+).*/\2/p' | LC_ALL=C sort | paste -sd'|')
	offers "$wanted" "$c" --
	grep -qE "^		'$c:" "$top/completion/_garner" || fail "zsh: no command $c"
	block=$(sed -nE "/^	([a-z]+ \| )*$c( \| [a-z]+)*\)/,/;;/p" "$top/completion/_garner")
	for o in ${wanted//|/ }; do
		case $o in
		--help) grep -q '\$help' <<<"$block" || fail "zsh: $c without --help" ;;
		--json) grep -q '\$json' <<<"$block" || fail "zsh: $c without --json" ;;
		*) grep -qE -- "${o}[[}]" <<<"$block" || fail "zsh: $c without $o" ;;
		esac
	done
done
[ "$(wc -w <<<"$_garner_commands")" -eq ${#commands[@]} ] || fail "bash: commands that garner has not"
[ ${#_garner_options[@]} -eq ${#commands[@]} ] || fail "bash: options of commands that garner has not"

if command -v zsh >/dev/null; then
	zsh -n "$top/completion/_garner" || fail "zsh: a mistake"
fi
finish
