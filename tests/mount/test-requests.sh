#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The way of the requests is the one that was asked for, and on it no request is lost, whoever waits for whom: a crowd of programs on all cores, in both ways
# of the data; then the ends of a mount while the crowd is at work.
#
#   URING        "yes": requests have to come over io_uring, as tests/run-all has switched it on
#   URING_TIME   seconds for the crowd (default 3)
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

: "${URING:=}" "${URING_TIME:=3}"
crowd=$(realpath "$top_srcdir")/tests/mount/crowd.py

transport() {
	stat "$mnt" >/dev/null && "$GARNER" status --json "$lib" | jq -r .mount.transport
}

wanted_transport() {
	if [[ ",$MOUNT_MODE," == *,nouring,* ]] ||
		! "$GARNER" doctor --json | jq -e '.[] | select(.what == "FUSE over io_uring") | .verdict == "good"' >/dev/null; then
		echo /dev/fuse
	else
		echo io_uring
	fi
}

crowd() {
	mkdir -p "$mnt/crowd"
	python3 "$crowd" "$mnt/crowd" "$URING_TIME" || { fail "the crowd $*"; tell_daemon >&2; }
}

make_library
mount_library
check_is "the way of the requests" "$(wanted_transport)" "$(transport)"
[ "$URING" != yes ] || check_is "io_uring is in use" io_uring "$(transport)"
crowd "as it mounts by itself"

remount_library nopassthrough
check_is "the way of the requests, nopassthrough" "$(wanted_transport)" "$(transport)"
crowd "with the write-back cache"

remount_library nouring
check_is "the way of the requests, nouring" /dev/fuse "$(transport)"

# A request that waits for another one, with a single thread to take them: the holes of a file, some of which only the kernel's cache knows to be none.
remount_library threads=1,nopassthrough
timeout -s KILL 120 python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for at in range(0, 64 << 20, 1 << 20):
    os.pwrite(fd, b"x" * 4096, at)
    assert os.lseek(fd, at, os.SEEK_DATA) == at and os.lseek(fd, at, os.SEEK_HOLE) == at + 4096
' "$mnt/holes" || { fail "SEEK_HOLE with one thread"; tell_daemon >&2; }

# It ends while requests are under way. Whoever made them gets an error. A daemon that is killed just as the kernel, on its behalf, waits for it
# to take a write (SEEK_HOLE, where there is a write-back cache) cannot end before someone aborts the connection.
for signal in TERM KILL; do
	remount_library
	mkdir -p "$mnt/crowd"
	if [ $signal = KILL ]; then seek=noseek; else seek=; fi
	python3 "$crowd" "$mnt/crowd" 3 $seek 2>/dev/null &
	within 120 test -e "$mnt/crowd/shared0"
	kill -"$signal" "$(daemon_pids)"
	within 120 no_daemon || { fail "SIG$signal with requests under way: the daemon does not end"; tell_daemon >&2; }
	wait $!
	mount_library
done
crowd "after the ends"
unmount_library
check_library --deep
finish
