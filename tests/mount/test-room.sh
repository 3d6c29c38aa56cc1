#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A small disk with a bucket behind it: what is written is more than it holds, and each write finds room, for what is in the bucket goes. What the bucket
# has not yet is never given up for that: then the disk is full.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
trap cleanup EXIT
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys AKIATEST a/secret+of=tests

serve

disk=$work/disk
mkdir "$disk"
small_disk 96 "$disk" || { fail "cannot make a loop disk"; finish; }
lib=$disk/library
make_library --chunker fixed --chunk-avg 1M --s3 s3://bucket/lib --endpoint "$endpoint"
# With passthrough the kernel writes by itself, and only what is kept free can be written to; else a write can wait.
case $MOUNT_MODE in *nopassthrough*) room=0 ;; *) room=24MiB ;; esac
sed -i "s/^\[cache\]/&\nmin-free = $room/" "$lib/config"
mount_library
# room_is_kept: what is to be kept free is free. It is made after the chunks were sent, which push alone waits for.
room_is_kept() {
	[ "$(df -B1 --output=avail "$disk" | tail -1)" -ge $((${room%MiB} << 20)) ]
}
put() {
	noise 16 "$1" >"$mnt/$1"
}
# Where a write waits until room is made, a machine that stands still may take longer for that: once, and then there is room a little later.
late=0
for i in 1 2 3 4 5 6 7 8; do
	within 60 room_is_kept || fail "no room is made for file $i"
	if ! put $i 2>/dev/null; then
		late=$((late + 1))
		[ "$room" = 0 ] && [ $late -le 1 ] && within 60 put $i 2>/dev/null || fail "no room for file $i of 16 MiB"
	fi
	check "push --wait" "$GARNER" push --wait "$lib"
done
json '.mount.cache.evicted_bytes > 50000000' status --json "$lib"
for i in 1 8 3; do
	noise 16 $i | cmp - "$mnt/$i" || fail "file $i differs"
done

# Nothing can go that is not sent.
check "push --pause" "$GARNER" push --pause "$lib"
for i in 1 2 3 4 5 6 7 8; do
	head -c 16M /dev/zero | tr '\0' "$i" >"$mnt/new$i" 2>>err || break
done
grep -q 'No space left' err || fail "the disk holds more than it can"
timeout 60 ls -l "$mnt" >/dev/null || fail "ls on a full disk"
timeout 60 cat "$mnt/new1" | cmp - <(head -c 16M /dev/zero | tr '\0' 1) || fail "what was written first is not there"
unmount_library
gives 0 '*' '' fsck "$lib"
finish
