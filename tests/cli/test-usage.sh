#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every subcommand: --help, a mistaken command line, a library that is none, an output that cannot be written.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1

mapfile -t commands < <("$GARNER" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
[ ${#commands[@]} -ge 17 ] || fail "garner --help names ${#commands[@]} commands"

gives 0 'usage: garner COMMAND*' '' --help
gives 0 'usage: garner COMMAND*' '' help
gives 0 'garner [0-9]*.[0-9]*' '' --version
gives 2 'usage: garner COMMAND*' ''
gives 2 '' "*unknown command 'mout'*--help*" mout
gives 2 '' "garner: unknown option '--verbose'*--help*" --verbose

cd "$work" || exit 1
mkdir empty full mnt
touch full/file file
"$GARNER" init "$lib" >/dev/null || fail "init"

# The operands after the library, so that only the library is wrong.
declare -A rest=([mount]=mnt [stat]=x [pull]=x [mkdir]=x [cp]="x y" [mv]="x y" [rm]=x [history]=x [evict]=x [unpin]=x [import]=file [export]="x y")

for c in "${commands[@]}"; do
	gives 0 "usage: garner $c *Options:*--help*" '' "$c" --help
	usage=2
	[ "$c" = fsck ] && usage=16
	gives $usage '' "garner $c: unknown option '--no-such'*usage: garner $c *--help*" "$c" --no-such
	gives $usage '' "garner $c: unknown option '-Z'*" "$c" -Z x
	case $c in
	doctor) ;;
	*) gives $usage '' "garner $c: missing operand*usage: garner $c *" "$c" ;;
	esac
	case $c in
	init | umount | recover) continue ;;
	esac
	none=3
	[ "$c" = fsck ] && none=8
	bad=4
	[ "$c" = fsck ] && bad=8
	out=
	[ "$c" = doctor ] && out='*'
	# shellcheck disable=SC2086
	{
		gives $none "$out" "*garner $c: nowhere: there is no such library*garner init*" "$c" nowhere ${rest[$c]:-}
		gives $none "$out" "*garner $c: *file: not a folder; a library is one" "$c" file ${rest[$c]:-}
		gives $bad "$out" "*garner $c: *full: not a garner library" "$c" full ${rest[$c]:-}
		gives $bad "$out" "*garner $c: *empty: an empty folder, not a library*" "$c" empty ${rest[$c]:-}
	}
done

# Extra operands.
gives 2 '' "*extra operand 'b'*" init a b
gives 2 '' "*extra operand 'c'*" mount a b c
gives 2 '' "*extra operand 'b'*" status a b
gives 2 '' "*option '--options' needs an argument*" mount --options
gives 2 '' "*option '-t' needs an argument*" sync -t
gives 2 '' "*option '--json' takes no argument*" ls --json=yes "$lib"
gives 2 '' "*'soon' is no time*" sync -t soon "$lib"
gives 2 '' "*'x' is no time*" gc --grace x "$lib"

# A full disk behind the output is a failure.
for c in "ls --json $lib" "ls $lib" "status $lib" "stat $lib /" "du $lib" "--help" "doctor" "history $lib /"; do
	"$GARNER" mkdir -p "$lib" a
	# shellcheck disable=SC2086
	"$GARNER" $c >/dev/full 2>"$work/err" && fail "garner $c: success into a full disk"
	grep -q 'No space left' "$work/err" || fail "garner $c: says '$(cat "$work/err")' of a full disk"
done

# Nobody reads the library of another user.
if [ "$EUID" -eq 0 ]; then
	chmod 755 "$work"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$GARNER" ls "$lib" >"$work/out" 2>"$work/err"
	[ $? -eq 7 ] || fail "ls of another user's library ends otherwise than with 7"
	grep -q 'permission denied; a library is used by the user who made it' "$work/err" || fail "it says $(cat "$work/err")"
fi
finish
