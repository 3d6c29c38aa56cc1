#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The ways in which a mount ends: umount(8), fusermount3, SIGTERM with and without files in use, kill -9. What was written is there afterwards.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

write_some() {
	head -c 3M /dev/urandom >"$work/$1"
	cp "$work/$1" "$mnt/$1" || fail "cp"
}

check_some() {
	cmp "$work/$1" "$mnt/$1" || fail "after $1: not the same"
}

ended() {
	within 120 no_daemon || fail "$1: the daemon does not end"
	! mountpoint -q "$mnt" || fail "$1: still mounted"
	mount_library
	check_some "$1"
}

make_library
mount_library
write_some umount
umount "$mnt" || fail "umount"
ended umount

write_some fusermount
fusermount3 -u "$mnt" || fail "fusermount3 -u"
ended fusermount

write_some sigterm
kill -TERM "$(daemon_pids)"
ended sigterm

write_some sigint
kill -INT "$(daemon_pids)"
ended sigint

# At whatever moment a signal comes after the mount is there: the daemon ends it in order.
unmount_library
for i in {1..40}; do
	"$GARNER" mount -f ${MOUNT_MODE:+-o "$MOUNT_MODE"} "$lib" "$mnt" 2>"$work/stderr" &
	until grep -q " $mnt " /proc/self/mountinfo; do :; done
	kill -TERM $!
	wait $! || fail "a signal just after the mount ($i): status $?: $(cat "$work/stderr")"
	! grep -q " $mnt " /proc/self/mountinfo || { fail "a signal just after the mount ($i) leaves it there"; umount -l "$mnt"; }
done
mount_library

# A file is open and has pages that only the kernel's cache holds.
exec 5>"$mnt/busy"
head -c 1M /dev/urandom | tee "$work/busy" >&5
check_exit "umount while in use" 5 "$GARNER" umount "$mnt"
kill -TERM "$(daemon_pids)"
within 120 no_daemon || fail "the daemon does not end while a file is in use"
exec 5>&-
mount_library
check_some busy

write_some killed
kill_daemon
check_not "a dead mount answers" quietly stat "$mnt/killed"
mount_library
check_some killed

# Dead and still in its place: the next mount clears it away.
kill -KILL "$(daemon_pids)"
within 120 no_daemon
mount_library
check_some killed
unmount_library
check_library --deep
finish
