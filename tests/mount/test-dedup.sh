#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What is stored once: the same content twice, content that was shifted, copies; and a damaged stored copy, which new bytes heal.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

chunks() {
	"$GARNER" status --json "$lib" | jq .chunks
}

stored() {
	"$GARNER" status --json "$lib" | jq .chunk_bytes
}

blocks() {
	du -sk "$lib/blobs" | cut -f1
}

make_library
mount_library
noise 200 data >"$work/data"
cp "$work/data" "$mnt/one"
seal_library
first=$(stored)
used=$(blocks)
cp "$work/data" "$mnt/two"
seal_library
check_is "bytes stored after the same again" "$first" "$(stored)"
grown=$(($(blocks) - used))
[ $grown -lt 4096 ] || fail "the same again took $grown KiB on the disk"

before=$(chunks)
{ noise 1 front; cat "$work/data"; } >"$mnt/shifted"
seal_library
new=$(($(chunks) - before))
echo "1 MiB at the front: $new new chunks"
[ $new -le 4 ] || fail "1 MiB at the front made $new new chunks"
cmp <(tail -c +1048577 "$mnt/shifted") "$work/data" || fail "the shifted content"

before=$(chunks)
dd if="$work/data" of="$mnt/one" bs=4096 count=1 skip=7 seek=20000 conv=notrunc 2>/dev/null
seal_library
new=$(($(chunks) - before))
[ $new -le 3 ] || fail "4 KiB in the middle made $new new chunks"
cmp "$mnt/two" "$work/data" || fail "the other copy changed with an edit"

before=$(stored)
cp --reflink=auto "$mnt/two" "$mnt/three"
seal_library
check_is "bytes stored after a copy" "$before" "$(stored)"
cmp "$mnt/three" "$work/data" || fail "the copy"

# Damage: bytes of a blob are overwritten behind our back; writing the content again heals every file that shares it.
head -c 30M /dev/urandom >"$work/fragile"
cp "$work/fragile" "$mnt/fragile"
seal_library
unmount_library
blob=$(find "$lib/blobs" -type f -size +29M -size -33M -newer "$work/fragile" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
dd if=/dev/zero of="$blob" bs=1M count=1 seek=10 conv=notrunc 2>/dev/null
"$GARNER" fsck --deep "$lib" >"$work/out" 2>&1
check_is "exit code of fsck" 4 $?
grep -q fragile "$work/out" || fail "fsck does not name the asset: $(cat "$work/out")"
mount_library
cp "$work/fragile" "$mnt/again"
seal_library
cmp "$mnt/again" "$work/fragile" || fail "the content that was written again"
remount_library
cmp "$mnt/fragile" "$work/fragile" || fail "the damaged one was not healed"
unmount_library
check_library --deep
finish
