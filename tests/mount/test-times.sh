#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The times that stat(2) shows are those that are kept: the same after unmounting and mounting again.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

times() {
	(cd "$mnt" && stat -c '%n %.9X %.9Y %.9Z' -- *)
}

# told COMMAND: xfs_io has done it.
told() {
	local line
	printf '%s\nfile\n' "$1" >&"${io[1]}"
	while read -r line <&"${io[0]}"; do
		case $line in *'[000]'*) return ;; esac
	done
	fail "xfs_io ended at: $1"
}

# is_recorded NAME: the clock has recorded that there is something.
is_recorded() {
	[ "$(sqlite3 -readonly "$lib/garner.db" "SELECT n.size FROM node n JOIN entry e ON e.ino = n.ino WHERE CAST(e.name AS TEXT) = '$1'")" -gt 0 ]
}

# Two pages dirty from one moment; one is written back and recorded before the kernel has told its time of the change, one after.
half_written() {
	local pid
	coproc io { exec stdbuf -oL xfs_io -f "$1"; }
	# shellcheck disable=SC2154
	pid=$io_PID
	told "pwrite -q 0 8k"
	told "sync_range -w 0 4k"
	told "sync_range -a 0 4k"
	within 120 is_recorded "${1##*/}" || fail "the first page's write is not recorded"
	told "sync_range -w 4k 4k"
	told "sync_range -a 4k 4k"
	echo quit >&"${io[1]}"
	wait "$pid"
}

same_after_remount() {
	local i before
	half_written "$mnt/half"
	for i in 1 2 3 4 5 6 7 8; do
		echo text >"$mnt/link$i"
		exec 3>>"$mnt/link$i"
		echo more >&3
		ln "$mnt/link$i" "$mnt/other$i"
		mv "$mnt/link$i" "$mnt/link$i.moved"
		exec 3>&-
		echo text >"$mnt/attr$i"
		setfattr -n user.a -v b "$mnt/attr$i"
		chmod 600 "$mnt/attr$i"
		touch -m -d 2001-02-03 "$mnt/attr$i"
		xfs_io -f -c "falloc 0 64k" "$mnt/direct$i"
		xfs_io -d -c "pwrite -q 0 4k" "$mnt/direct$i"
	done
	before=$(times)
	unmount_library
	mount_library "$1"
	check_is "$1: the times after mounting again" "$before" "$(times)"
}

make_library
printf '[log]\nsync = 1s\n' >"$lib/config"
for mode in writeback nowriteback; do
	mount_library "$mode"
	same_after_remount "$mode"
	rm -f "$mnt"/*
	unmount_library
done
finish
