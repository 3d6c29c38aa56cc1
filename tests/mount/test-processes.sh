#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Another process changes a mounted library: the mount shows it when that process has ended, whatever the kernel had cached.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

make_library
mount_library
mkdir -p "$mnt/a/b"
echo one >"$mnt/a/one"
ls -lR "$mnt" >/dev/null
check_not "a name that is not there" test -e "$mnt/two" # the kernel keeps that, too

check "mv" "$GARNER" mv "$lib" /a/one /two
check "the new name" test -e "$mnt/two"
check_not "the old name" test -e "$mnt/a/one"
check_is "content" one "$(cat "$mnt/two")"
check "mkdir" "$GARNER" mkdir -p "$lib" /x/y/z
check "folders" test -d "$mnt/x/y/z"
check_is "listing" "a two x" "$(cd "$mnt" && echo *)"
check "mv of a folder" "$GARNER" mv "$lib" /x /a
check "inside the folder" test -d "$mnt/a/x/y/z"
check "rm" "$GARNER" rm "$lib" /two
check_not "removed" test -e "$mnt/two"
check "rm -r" "$GARNER" rm -r "$lib" /a
check_is "listing after rm -r" "" "$(ls "$mnt")"
check "restore" "$GARNER" restore "$lib" /a >/dev/null
check "restored" test -d "$mnt/a/x/y/z"
check_exit "mv of what is not there" 3 "$GARNER" mv "$lib" /none /some

# Both at once
for i in $(seq 40); do
	echo "$i" >"$mnt/a/f$i"
done &
for i in $(seq 40); do
	"$GARNER" mkdir "$lib" "/d$i" || fail "mkdir $i"
done
wait
check_is "folders made beside" 40 "$(find "$mnt" -maxdepth 1 -name 'd*' | wc -l)"
check_is "files made beside" 40 "$(find "$mnt/a" -maxdepth 1 -name 'f*' | wc -l)"

# Other content for an asset with several names: each shows it.
echo short >"$mnt/a/first"
ln "$mnt/a/first" "$mnt/a/second"
ln "$mnt/a/first" "$mnt/third"
seal_library
cat "$mnt/a/first" "$mnt/a/second" "$mnt/third" >"$work/out"
mkdir "$work/from"
seq 1000 >"$work/from/second"
check "import over it" "$GARNER" import "$lib" "$work/from/." --into /a >"$work/out"
for name in a/first a/second third; do
	check_is "size of $name" "$(stat -c %s "$work/from/second")" "$(stat -c %s "$mnt/$name")"
	check "content of $name" cmp "$mnt/$name" "$work/from/second"
done

mkdir "$work/second"
check_exit "a second mount" 5 "$GARNER" mount "$lib" "$work/second"
check "status" "$GARNER" status "$lib" >/dev/null
unmount_library
check_library
finish
