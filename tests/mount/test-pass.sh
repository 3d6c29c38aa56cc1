#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Several handles on one asset: on the disk itself, so that the test is known to be right, and on a mount, with files that become homes and with files that
# go into bundles. And that the kernel passes files through where this machine can.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

pass=$(realpath "$top_builddir")/tests/mount/pass
mkdir "$work/native"
PASS_DIR=$work/native PASS_SEAL=true "$pass" >"$work/out" 2>&1 || { fail "the test itself, on the disk"; cat "$work/out"; }

# The way of the data as the daemon tells it.
data_path() {
	"$GARNER" status --json "$lib" | jq -r .mount.data_path
}

wanted_path() {
	if [[ $MOUNT_MODE == *nopassthrough* ]] || ! "$GARNER" doctor --json | jq -e '.[] | select(.what == "passthrough") | .verdict == "good"' >/dev/null; then
		echo "write-back cache"
	else
		echo passthrough
	fi
}

make_library --chunk-min 16KiB --chunk-avg 64KiB --chunk-max 128KiB
mount_library
check_is "the way of the data" "$(wanted_path)" "$(data_path)"
PASS_DIR=$mnt PASS_SEAL="$GARNER sync --timeout 120s $lib >/dev/null" "$pass" >"$work/out" 2>&1 || { fail "on the mount"; cat "$work/out"; }

# What a reader has from the kernel: sealed where it is, if it can be; else it is told, and nobody waits for the reader.
held() {
	"$GARNER" status --json "$lib" | jq .mount.files.held
}
head -c 300k /dev/urandom >"$mnt/large"
echo small >"$mnt/small"
exec 8<"$mnt/large" 9<"$mnt/small"
check "sync beside a reader" timeout 120 "$GARNER" sync "$lib" 2>"$work/stderr"
if [ "$(wanted_path)" = passthrough ]; then
	check_is "what the sync says" "garner sync: left out what is still open: 1 file" "$(cat "$work/stderr")"
	check_is "held by readers" 1 "$(held)"
fi
check_is "unsealed beside a reader" "$(held)" "$("$GARNER" status --json "$lib" | jq .drafts)"
exec 8<&- 9<&-
seal_library
check_is "unsealed" 0 "$("$GARNER" status --json "$lib" | jq .drafts)"

remount_library nowriteback
PASS_DIR=$mnt PASS_SEAL="$GARNER sync --timeout 120s $lib >/dev/null" "$pass" >"$work/out" 2>&1 || { fail "without write-back"; cat "$work/out"; }
unmount_library
check_library --deep
finish
