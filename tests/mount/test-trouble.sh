#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Bad input and bad luck: a full disk, a read-only one, a database that is none, damaged or from the future, missing blobs, no device. A clear error each, and
# nothing is lost.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

disk=$work/disk

# Full before it begins, with blocks smaller than pages.
full_at_start() {
	DISK_BLOCK=1024 small_disk 64 "$disk" || { fail "cannot make a loop disk"; return; }
	lib=$disk/library
	make_library
	head -c 100M /dev/zero >"$disk/fill" 2>/dev/null
	check_not "mounting on a full disk" "$GARNER" mount "$lib" "$mnt" 2>"$work/stderr"
	check "it says why" grep -q "No space left" "$work/stderr"
	check "ls on a full disk" "$GARNER" ls "$lib" >/dev/null
	check "status there" "$GARNER" status "$lib" >/dev/null
	check "fsck there" "$GARNER" fsck "$lib" >/dev/null
	rm "$disk/fill"
	mount_library
	unmount_library
	umount "$disk"
}

full_disk() {
	local n
	small_disk 96 "$disk" || { fail "cannot make a loop disk"; return; }
	lib=$disk/library
	make_library
	mount_library
	n=$(df -B1 --output=avail "$mnt" | tail -1)
	check "what df calls available, but for 1 MiB of metadata" fallocate -l $((n - (1 << 20))) "$mnt/all"
	rm "$mnt/all"
	head -c 20M /dev/urandom >"$work/kept"
	cp "$work/kept" "$mnt/kept"
	cp "$work/kept" "$mnt/edited"
	seal_library
	cp "$work/kept" "$mnt/waiting" # sealed while the disk is full
	exec 9<>"$mnt/reserved" # kept open: what is closed is sealed, and with it the reserved space is gone
	check "reserving" fallocate -l 6M "$mnt/reserved"
	for n in 1 2 3 4 5 6 7 8; do
		head -c 20M /dev/urandom >"$mnt/fill$n" 2>/dev/null || break
	done
	[ "$n" -lt 8 ] || fail "the disk did not fill up"
	check "the mount still answers" ls "$mnt" >/dev/null
	check "what was sealed" cmp "$work/kept" "$mnt/kept"
	check "what was written before" cmp "$work/kept" "$mnt/waiting"
	# An edit of what a reader has open finds no room, and is refused; what has the same bytes stays as it is. What is refused here and below is more than the
	# whole disk: sealing, which goes on, gives back what some of the files have in common.
	exec 8<"$mnt/edited"
	dd if=/dev/zero of="$mnt/edited" bs=1M count=100 conv=notrunc,fsync status=none 2>/dev/null && fail "an edit found room on the full disk"
	check "reading beside it" cmp "$work/kept" "$mnt/kept"
	exec 8<&-
	check_not "a further file" quietly sh -c "head -c 100M /dev/urandom > '$mnt/more'"
	check "writing where it was reserved" dd if="$work/kept" of="$mnt/reserved" bs=1M count=6 conv=notrunc,fsync status=none
	check "writing there again" dd if="$work/kept" of="$mnt/reserved" bs=1M count=6 conv=notrunc,fsync status=none
	check_not "writing behind it" quietly dd if=/dev/urandom of="$mnt/reserved" bs=1M seek=6 count=100 conv=notrunc,fsync
	exec 9>&-
	check "what was reserved" cmp -n 6291456 "$work/kept" "$mnt/reserved"
	check "removing" rm -f "$mnt"/fill* "$mnt/more"
	"$GARNER" sync --timeout 20s "$lib" 2>/dev/null
	unmount_library
	check_library --deep
	mount_library
	check "what was sealed, mounted again" cmp "$work/kept" "$mnt/kept"
	check "what was written before, mounted again" cmp "$work/kept" "$mnt/waiting"
	unmount_library
}

read_only_disk() {
	mount -o remount,ro "$disk" || { fail "remount,ro"; return; }
	check_exit "mounting on a read-only disk" 7 "$GARNER" mount "$lib" "$mnt"
	check "mounting it read-only" "$GARNER" mount -o ro "$lib" "$mnt"
	check "reading there" cmp "$work/kept" "$mnt/kept"
	check_not "writing there" quietly touch "$mnt/x"
	unmount_library
	check "ls there" "$GARNER" ls "$lib" >/dev/null
	umount "$disk"
	lib=$work/library
}

bad_databases() {
	check_exit "no such library" 3 "$GARNER" mount "$work/none" "$mnt"
	mkdir "$work/empty"
	check_exit "an empty folder" 4 "$GARNER" mount "$work/empty" "$mnt"
	make_library
	cp "$lib/garner.db" "$work/good.db"
	echo "this is no database" >"$lib/garner.db"
	check_exit "a text" 4 "$GARNER" mount "$lib" "$mnt"
	head -c 20000 "$work/good.db" >"$lib/garner.db"
	check_exit "cut short" 4 "$GARNER" mount "$lib" "$mnt"
	: >"$lib/garner.db"
	check_exit "empty" 4 "$GARNER" mount "$lib" "$mnt"
	cp "$work/good.db" "$lib/garner.db"
	sqlite3 "$lib/garner.db" 'PRAGMA user_version = 999' || fail "sqlite3"
	check_exit "from the future" 4 "$GARNER" mount "$lib" "$mnt"
	sqlite3 "$work/other.db" 'CREATE TABLE t (a)'
	cp "$work/other.db" "$lib/garner.db"
	check_exit "of another program" 4 "$GARNER" mount "$lib" "$mnt"
	cp "$work/good.db" "$lib/garner.db"
	echo "this is [no configuration" >>"$lib/config"
	check_exit "a bad config" 1 "$GARNER" mount "$lib" "$mnt"
	"$GARNER" init "$work/again" >/dev/null && cp "$work/again/config" "$lib/config"
	check "a good one again" "$GARNER" mount "$lib" "$mnt"
}

missing_blobs() {
	head -c 5M /dev/urandom >"$mnt/gone"
	echo small >"$mnt/small"
	seal_library
	unmount_library
	find "$lib/blobs" -type f -size +4M -delete
	mount_library
	check_not "reading what has no blob" quietly cat "$mnt/gone"
	check_is "reading the rest" small "$(cat "$mnt/small")"
	check "writing it anew" cp "$work/kept" "$mnt/gone"
	check "reading it then" cmp "$work/kept" "$mnt/gone"
	seal_library
	unmount_library
}

# A mount namespace in which /dev/fuse is not there.
no_device() {
	unshare -m sh -c "mount -t tmpfs none /dev && '$GARNER' mount '$lib' '$mnt'" 2>"$work/stderr"
	check_is "exit code without /dev/fuse" 8 $?
	grep -q "/dev/fuse" "$work/stderr" || fail "without /dev/fuse: $(cat "$work/stderr")"
}

full_at_start
full_disk
read_only_disk
bad_databases
missing_blobs
no_device
finish
