#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# rm, restore, purge and gc.
. "${top_srcdir:-.}/tests/mount/lib.sh" && . "$top_srcdir/tests/cli/lib.sh" || exit 1
make_library
mount_library
mkdir "$mnt/a"
echo one >"$mnt/a/one"
echo two >"$mnt/two"
head -c 300000 /dev/urandom >"$mnt/big"
seal_library

gives 0 '' '' restore "$lib"
json '. == []' restore --json "$lib"
gives 0 '' '' rm -r "$lib" a two
gives 0 *$'  /a\n'*'  /two' '' restore "$lib"
json 'map(.path) == ["/a", "/two"] and .[1].size == 4 and (.[0].deleted | test("^20.*Z$"))' restore --json "$lib"
gives 3 '' "garner restore: /nope: not in the trash; *" restore "$lib" /nope
gives 0 '/two' '' restore "$lib" /two
[ "$(cat "$mnt/two")" = two ] || fail "what was restored is not in the mount"
item=$("$GARNER" restore --json "$lib" | jq '.[0].item')
gives 0 '/a' '' restore "$lib" "$item"
[ "$(cat "$mnt/a/one")" = one ] || fail "a folder comes back without what was in it"

# A path begins at the top, with or without a slash, as it does everywhere.
gives 0 '' '' rm "$lib" two
gives 0 '/two' '' restore "$lib" two

# All, or some: both at once is a mistake, and a costly one where it purges.
gives 0 '' '' rm "$lib" two
gives 2 '' "garner purge: either --all or an ITEM ('/two')*" purge --all "$lib" /two
gives 2 '' "garner restore: either --all or an ITEM ('/two')*" restore -a "$lib" /two
gives 0 *'  /two' '' restore "$lib"
gives 0 '/two' '' restore "$lib" /two

# A tree that rm(1) took apart.
mkdir -p "$mnt/tree/below/deep"
echo 1 >"$mnt/tree/one"
echo 2 >"$mnt/tree/below/deep/two"
seal_library
rm -r "$mnt/tree"
gives 0 '/tree' 'garner restore: /tree: 2 more *--recursive*' restore "$lib" /tree
[ -z "$(ls "$mnt/tree")" ] || fail "more came back than was asked for"
rmdir "$mnt/tree"
gives 0 $'/tree\n'* '' restore -r "$lib" /tree
[ "$(cat "$mnt/tree/one" "$mnt/tree/below/deep/two")" = $'1\n2' ] || fail "restore -r"
gives 0 '' '' restore "$lib"
gives 0 '' '' rm -r "$lib" tree
gives 0 '' '' purge "$lib" tree

# What was in a folder that is in the trash, and in one that is gone for good.
mkdir -p "$mnt/upper/lower"
echo deep >"$mnt/upper/lower/file"
echo high >"$mnt/upper/high"
seal_library
gives 0 '' '' rm "$lib" upper/lower/file upper/high
gives 0 '' '' rm -r "$lib" upper/lower
gives 0 '' '' rm -r "$lib" upper
json 'map(.path) == ["/upper/lower/file", "/upper/high", "/upper/lower", "/upper"] and map(.folder_gone) == [false, false, false, false]' restore --json "$lib"
gives 0 '' '' purge "$lib" /upper
json 'map(.path) == ["/lower/file", "/high", "/lower"] and map(.folder_gone) == [true, true, true]' restore --json "$lib"
gives 0 *'  /high  (the folder it was in is gone; here it comes back)'* '' restore "$lib"
gives 0 '/lower/file' '' restore "$lib" /lower/file
[ "$(cat "$mnt/lower/file")" = deep ] || fail "what was below a folder that is gone"
gives 0 '' '' purge "$lib" /high
gives 0 '' '' rm -r "$lib" lower
gives 0 '' '' purge -a "$lib"

# A name that is taken since.
gives 0 '' '' rm "$lib" two
mkdir "$mnt/two"
gives 0 '/two*' '' restore "$lib" /two
[ "$(find "$mnt" -name 'two*' -type f -exec cat {} +)" = two ] || fail "restored under no name"

gives 0 '' '' rm -r "$lib" a big
gives 0 *$'/a\n'*'/big' '' purge "$lib"
gives 3 '' 'garner purge: /nope: not in the trash*' purge "$lib" /nope
gives 0 '' '' purge "$lib" /a
gives 3 '' 'garner restore: /a: not in the trash*' restore "$lib" /a
gives 0 '/big' '' restore --all "$lib"
gives 0 '' '' rm "$lib" big
gives 0 '' '' purge -a "$lib"
gives 0 '' '' restore "$lib"

gives 5 '' "*garner gc: $lib: mounted at $mnt"$'\n'"A mounted library is collected by its mount." gc "$lib"
unmount_library
# What was purged a moment ago goes too: nobody has it open.
before=$(du -s --block-size=1 "$lib/blobs" | cut -f1)
json '.objects >= 1 and .chunk_bytes >= 300000' gc --grace 0 --json "$lib"
after=$(du -s --block-size=1 "$lib/blobs" | cut -f1)
[ $((before - after)) -ge 290000 ] || fail "gc gives back $((before - after)) bytes of 300000"
# What lay in a purged folder may be left for the next time.
nothing_left() {
	[[ $("$GARNER" gc --grace 0 "$lib") == 'removed 0 objects, 0 chunks '* ]]
}
within 120 nothing_left || fail "gc finds no end"
check_library --deep
finish
