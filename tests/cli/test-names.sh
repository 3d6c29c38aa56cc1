#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Names that are no text: JSON stays JSON and loses no byte, a terminal gets no control characters, a pipe gets the bytes.
. "${top_srcdir:-.}/tests/mount/lib.sh" && . "$top_srcdir/tests/cli/lib.sh" || exit 1
make_library
mount_library
mkdir "$mnt/d"
names=($'new\nline' 'quote"and'\''and\back' $'caf\xe9' $'\xff\xfe' $'esc\x1b[31m' $'\xed\xb2\x80' $'bidi\u202e' '\u0000ff' '\udcff' "\$'x'"
	' lead' '-dash' $'tab\there' $'\xf0\x9f\x98\x80' "$(printf 'x%.0s' {1..255})")
for n in "${names[@]}"; do
	echo "$n" >"$mnt/d/$n" || fail "cannot make $n"
	ln -s -- "$n" "$mnt/$n" || fail "cannot link $n"
done
seal_library

# The names in some JSON texts, as Python reads them back to bytes; one on each line, in hex.
in_json() {
	python3 -c 'import json, os, sys
text = sys.stdin.read()
while text:
    value, end = json.JSONDecoder().raw_decode(text)
    text = text[end:].lstrip()
    for v in eval("lambda j: " + sys.argv[1])(value):
        print(os.fsencode(v).hex())' "$1" | sort
}
hex() {
	printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
	echo
}
wanted=$(for n in "${names[@]}"; do hex "$n"; done | sort)

for c in "ls --json $lib d" "ls -R --json $lib" "restore --json $lib" "status --json $lib" "doctor --json $lib" "fsck --json $lib"; do
	# shellcheck disable=SC2086
	"$GARNER" $c >"$work/out" || fail "garner $c"
	jq -e . "$work/out" >/dev/null || fail "garner $c: jq does not take it"
	python3 -m json.tool "$work/out" >/dev/null || fail "garner $c: Python does not take it"
done
check_is "ls --json" "$wanted" "$("$GARNER" ls --json "$lib" d | in_json '[e["name"] for e in j]')"
check_is "stat --json" "$wanted" "$("$GARNER" stat --json -- "$lib" "${names[@]}" | in_json '[e["name"] for e in j]')"
check_is "targets" "$wanted" "$("$GARNER" stat --json -- "$lib" "${names[@]}" | in_json '[e["target"] for e in j]')"
check_is "du --json" "$wanted" "$("$GARNER" du --json -- "$lib" "${names[@]}" | in_json '[e["path"] for e in j]')"
check_is "history --json" "$wanted" "$(for n in "${names[@]}"; do
	"$GARNER" history --json "$lib" "d/$n"
done | in_json '[j["events"][0]["name"]]')"
setfattr -n $'user.caf\xe9"\\' -v x "$mnt/d" || fail "setfattr"
check_is "what the journal holds" "$(hex $'user.caf\xe9"\\')" \
	"$("$GARNER" history --json "$lib" d | in_json '[e["after"]["name"] for e in j["events"] if e["action"] == "xattr"]')"

# To a pipe: the bytes.
check_is "ls -0" "$wanted" "$("$GARNER" ls -0 "$lib" d | od -An -v -tx1 | tr -d ' \n' | sed 's/../& /g' |
	sed 's/00 /\n/g' | tr -d ' ' | sort)"
check_is "ls" "$(printf '%s\n' "${names[@]}" | sort | od -c)" "$("$GARNER" ls "$lib" d | sort | od -c)"

# To a terminal: words that a shell reads back.
script -qec "'$GARNER' ls '$lib' d" /dev/null | tr -d '\r' >"$work/shown"
LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f]' "$work/shown" && fail "control characters reach the terminal"
python3 -c 'open(0, "rb").read().decode()' <"$work/shown" || fail "bytes that are no text reach the terminal"
check_is "ls on a terminal" "$wanted" "$(while IFS= read -r word; do
	eval "n=$word" && hex "$n"
done <"$work/shown" | sort)"

# Errors, and every other text: one line without control characters.
for n in "${names[@]}"; do
	"$GARNER" rm "$lib" "nope$n" 2>"$work/err" && fail "rm of nothing"
	[ "$(wc -l <"$work/err")" -eq 1 ] || fail "an error of more than one line: $(cat "$work/err")"
	LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f]' "$work/err" && fail "control characters in an error"
	"$GARNER" stat "$lib" "d/$n" >"$work/out" || fail "stat"
	check_is "lines of stat" 18 "$(wc -l <"$work/out")"
done
"$GARNER" rm -r "$lib" d || fail "rm"
"$GARNER" restore "$lib" /d >/dev/null || fail "restore"
for n in "${names[@]}"; do
	"$GARNER" rm "$lib" "d/$n" || fail "rm $n"
done
check_is "restore --json" "$wanted" "$("$GARNER" restore --json "$lib" | in_json '[e["path"][3:] for e in j]')"
check_is "lines of restore" ${#names[@]} "$("$GARNER" restore "$lib" | wc -l)"
for n in "${names[@]}"; do
	"$GARNER" restore "$lib" "/d/$n" >/dev/null || fail "restore $n"
	printf '%s\n' "$n" | cmp -s - "$mnt/d/$n" || fail "the content of $n is another after restoring"
done
unmount_library
check_library
finish
