#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A large library: memory of the daemon, and what mounting and renaming cost beside an empty one (printed, not judged).
#   SCALE_ASSETS (default 100000; 'make check-scale' takes 1000000)
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

assets=${SCALE_ASSETS:-100000}

milliseconds() {
	local start
	start=$(date +%s%N)
	"$@" || fail "$*"
	echo $((($(date +%s%N) - start) / 1000000))
}

memory_kib() {
	awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_pids | head -n 1)/status"
}

make_library
took_empty=$(milliseconds mount_library)
unmount_library
"$tools/populate" "$lib" full "$assets" || fail "populate"
"$GARNER" mkdir "$lib" /empty || fail "mkdir"
took_full=$(milliseconds mount_library)
after_mount=$(memory_kib)
echo "mount: empty $took_empty ms, with $assets assets $took_full ms; memory after it $after_mount KiB"
[ "$after_mount" -lt 65536 ] || fail "after the mount the daemon has $after_mount KiB, more than 64 MiB"

rename_empty=$(milliseconds mv "$mnt/empty" "$mnt/empty2")
rename_full=$(milliseconds mv "$mnt/full" "$mnt/full2")
echo "rename of a folder: empty $rename_empty ms, with $assets assets $rename_full ms"
check_is "assets found" "$((assets + 3))" "$(find "$mnt" | wc -l)"
after_find=$(memory_kib)
echo "memory after find: $after_find KiB"
[ "$after_find" -lt 262144 ] || fail "after find the daemon has $after_find KiB, more than 256 MiB"
check_is "rows of one rename" 1 "$("$GARNER" history --json "$lib" /full2 | jq '[.events[] | select(.action == "rename")] | length')"
unmount_library
finish
