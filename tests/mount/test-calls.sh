#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every call that a local disk answers, with the kernel's write-back cache and without; and on the disk itself, so that the test is known to be right.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

calls=$(realpath "$top_builddir")/tests/mount/calls
mkdir "$work/native"
CALLS_NATIVE=1 CALLS_DIR=$work/native "$calls" >"$work/out" 2>&1 || { fail "the test itself, on the disk"; cat "$work/out"; }
make_library --chunk-min 16KiB --chunk-avg 64KiB --chunk-max 128KiB
for mode in writeback nowriteback; do
	mount_library $mode
	CALLS_DIR=$mnt "$calls" >"$work/out" 2>&1 || { fail "with $mode"; cat "$work/out"; }
	unmount_library
	check_library --deep
done
finish
