#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner cp: beside a mount, which shows the copies; content is shared, and an edit of one is not seen in the other.
. "${top_srcdir:-.}/tests/mount/lib.sh" && . "$top_srcdir/tests/cli/lib.sh" || exit 1
make_library
mount_library

# The bytes that the store takes on disk, in KiB.
taken() {
	du -s -k "$lib/blobs" | cut -f 1
}

mkdir -p "$mnt/a/deep/er" "$mnt/many"
head -c 3000000 /dev/urandom >"$mnt/a/big"
echo hello >"$mnt/a/deep/small"
touch "$mnt/a/empty"
truncate -s 5M "$mnt/a/hole"
ln "$mnt/a/big" "$mnt/a/deep/again"
ln -s ../big "$mnt/a/deep/sym"
mkfifo "$mnt/a/deep/er/fifo"
setfattr -n user.tag -v red "$mnt/a/big" || fail "setfattr"
setfacl -m u:1234:r "$mnt/a/deep/small" || fail "setfacl"
setfacl -d -m u:1234:rwx "$mnt/a/deep" || fail "setfacl -d"
chmod 750 "$mnt/a/deep"
chown 12:34 "$mnt/a/deep/small"
chmod 4711 "$mnt/a/empty"
touch -d 2001-02-03T04:05:06.789Z "$mnt/a/big" "$mnt/a/deep"
for i in $(seq 300); do echo "$i" >"$mnt/many/$i"; done
seal_library

# A folder, with everything, and without space.
before=$(taken)
gives 0 '' '' cp -r "$lib" a b
[ "$(taken)" -le $((before + 64)) ] || fail "a copy takes space: $before, then $(taken) KiB"
rsync -naHAXi --delete "$mnt/a/" "$mnt/b/" >"$work/diff"
[ ! -s "$work/diff" ] || fail "the copy differs: $(cat "$work/diff")"
diff -r --no-dereference "$mnt/a" "$mnt/b" -x fifo || fail "the bytes differ"
[ "$(stat -c %i "$mnt/b/big")" = "$(stat -c %i "$mnt/b/deep/again")" ] || fail "a hard link is lost"
[ "$(stat -c %i "$mnt/b/big")" != "$(stat -c %i "$mnt/a/big")" ] || fail "the copy is a link"
[ "$(getfattr --absolute-names --only-values -n user.tag "$mnt/b/big")" = red ] || fail "an attribute is lost"
gives 0 '' '' cp -r "$lib" many more
[ "$(find "$mnt/more" -type f | wc -l)" = 300 ] && [ "$(cat "$mnt/more/217")" = 217 ] || fail "a large folder"

# An edit of one is not seen in the other.
sum=$(sha256sum <"$mnt/a/big")
echo edit | dd of="$mnt/b/big" bs=1 seek=100000 conv=notrunc status=none
[ "$(sha256sum <"$mnt/a/big")" = "$sum" ] || fail "an edit of the copy is seen in the original"
seal_library
[ "$(sha256sum <"$mnt/a/big")" = "$sum" ] || fail "an edit of the copy is seen in the original once it is sealed"

# Into a folder, several, over an asset, which keeps its history and its inode.
gives 0 '' '' cp "$lib" a/big a/empty b/deep
cmp "$mnt/a/big" "$mnt/b/deep/big" || fail "cp of several"
echo other >"$mnt/c"
seal_library
inode=$(stat -c %i "$mnt/c")
gives 0 '' '' cp "$lib" a/deep/small c
[ "$(cat "$mnt/c")" = hello ] && [ "$(stat -c %i "$mnt/c")" = "$inode" ] || fail "cp over an asset"
[ "$(stat -c %a:%u "$mnt/c")" != "$(stat -c %a:%u "$mnt/a/deep/small")" ] || fail "cp over an asset takes more than content"
json '(.versions | length) == 2' history --json "$lib" c
gives 0 '' '' cp "$lib" a/deep/small c
json '(.versions | length) == 2' history --json "$lib" c
gives 1 '' 'garner cp: a/big: the new name is taken' cp -n "$lib" a/big c
[ "$(cat "$mnt/c")" = hello ] || fail "-n replaces"

# What cannot be.
gives 1 '' 'garner cp: a: a folder; --recursive copies it' cp "$lib" a d
gives 1 '' 'garner cp: a: cannot be copied into itself*' cp -r "$lib" a a/deep
gives 1 '' 'garner cp: a/big: cannot be copied into itself*' cp "$lib" a/big a
gives 1 '' 'garner cp: /: the top folder cannot be copied' cp -r "$lib" / d
gives 1 '' 'garner cp: a: the new name is taken' cp -r "$lib" a c
gives 1 '' 'garner cp: a/deep: the new name is taken' cp -r "$lib" a/deep b
gives 3 '' 'garner cp: nope: not in the library' cp "$lib" nope d
gives 3 '' 'garner cp: no/such: the folder to copy to does not exist' cp "$lib" c no/such
gives 3 '' 'garner cp: c/x: not a folder' cp "$lib" a/big c/x
gives 3 '' 'garner cp: nope: no folder to copy several into' cp "$lib" a/big c nope
gives 3 '' "garner cp: $mnt/c: paths are given from the top of the library: '/c'" cp "$lib" "$mnt/c" d

# What is being written is told, and the rest is copied.
exec 3>"$mnt/a/deep/open"
echo begun >&3
gives 5 '' 'garner cp: /a/deep/open: still being written; *' cp -r "$lib" a/deep d
[ "$(cat "$mnt/d/small")" = hello ] && [ ! -e "$mnt/d/open" ] || fail "the rest of a folder"
gives 5 '' 'garner cp: a/deep/open: still being written; *' cp "$lib" a/deep/open e
exec 3>&-
seal_library
gives 0 '' '' cp "$lib" a/deep/open e
[ "$(cat "$mnt/e")" = begun ] || fail "once it is closed"

# The content lives as long as one of them does.
rm -rf "$mnt/a" "$mnt/b/big" "$mnt/b/deep/again"
"$GARNER" purge -a "$lib" >/dev/null || fail "purge"
unmount_library
"$GARNER" gc -g 0 "$lib" >/dev/null || fail "gc"
mount_library
[ "$(sha256sum <"$mnt/b/deep/big")" = "$sum" ] || fail "the copy's content went with the original"
unmount_library
check_library
finish
