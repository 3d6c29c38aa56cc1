#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# export: what it says of a path or a destination that is a mistake, and that it then writes nothing. What it writes: tests/mount/test-import.sh.
. "${top_srcdir:-.}/tests/mount/lib.sh" && . "$top_srcdir/tests/cli/lib.sh" || exit 1
make_library
mount_library
mkdir "$mnt/a" "$mnt/b"
echo one >"$mnt/a/one"
echo two >"$mnt/two"
ln "$mnt/a/one" "$mnt/b/uno"
ln "$mnt/a/one" "$mnt/three"
seal_library
mkdir "$work/here"
cd "$work/here" || exit 1
touch file
ln -s "$lib" link
before=$(find "$lib" -path "$lib/blobs" -prune -o -print | sort)

gives 0 '1 assets (4 B), *' '' export "$lib" two out
[ "$(cat out)" = two ] || fail "export to a name"
gives 0 'two' '' export "$lib" two -
# One file with several names stays one, wherever they are named.
mkdir links
gives 0 '1 assets (4 B), 2 links, 2 folders, *' '' export "$lib" a three b links
[ links/a/one -ef links/three ] && [ links/a/one -ef links/b/uno ] || fail "names of one file in several paths"
gives 1 '' 'garner export: a: Is a directory' export "$lib" a -
gives 2 '' 'garner export: only one asset can go to standard output*' export "$lib" two a/one -

gives 3 '0 assets *; 0 were there already, 1 failed' 'garner export: nope: not in the library' export "$lib" nope out
gives 3 '1 assets *, 1 failed' 'garner export: nope: not in the library' export "$lib" nope two .
json '.assets == 0 and .skipped == 1 and .failed == 0' export --json "$lib" two .
gives 3 '0 assets *' "garner export: $mnt/two: paths are given from the top of the library: '/two'" export "$lib" "$mnt/two" new
gives 3 '' 'garner export: no/such: the folder to write it in does not exist' export "$lib" two no/such
gives 3 '' 'garner export: no: no folder to write several into' export "$lib" two a no
gives 3 '' 'garner export: file: no folder to write several into' export "$lib" two a file
[ ! -e no ] && [ ! -e new ] && [ ! -s file ] || fail "a mistake leaves something behind"

for dest in "$lib" "$lib/new" link/new "$lib/blobs"; do
	gives 2 '' "garner export: $dest: in the library's own folder; *" export "$lib" two "$dest"
done
for dest in "$mnt" "$mnt/new" "$mnt/a"; do
	gives 2 '' "garner export: $dest: in the mount of the library; *" export "$lib" two "$dest"
done
[ "$(find "$lib" -path "$lib/blobs" -prune -o -print | sort)" = "$before" ] || fail "an export writes into the library"
[ ! -e "$lib/blobs/two" ] && [ ! -e "$mnt/new" ] && [ ! -e "$mnt/a/two" ] || fail "an export writes into the library's folders"
cd / || exit 1
unmount_library
check_library
finish
