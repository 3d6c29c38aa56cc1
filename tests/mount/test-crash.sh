#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon is killed while several writers write; then everything they were told is durable is there, and fsck is clean.
#   CRASH_ROUNDS (default 5), CRASH_SEED
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

rounds=${CRASH_ROUNDS:-5}
seed=${CRASH_SEED:-$RANDOM}
make_library --chunk-min 16KiB --chunk-avg 64KiB --chunk-max 128KiB
mount_library
for w in 1 2 3; do
	mkdir "$mnt/$w"
done

for ((round = 1; round <= rounds; round++)); do
	writers=()
	for w in 1 2 3; do
		# a folder for each round: a log tells of one writer's life
		mkdir "$mnt/$w/$round"
		"$tools/crash" write "$mnt/$w/$round" "$work/log.$w.$round" $((seed + round * 10 + w)) &
		writers+=($!)
	done
	within 120 test -s "$work/log.3.$round" || fail "round $round: the writers do not start"
	sleep "$((RANDOM % 3)).$((RANDOM % 10))"
	kill_daemon
	for p in "${writers[@]}"; do
		wait "$p" || fail "round $round: a writer ended with $?"
	done
	check_library
	mount_library
	for ((r = 1; r <= round; r++)); do
		for w in 1 2 3; do
			"$tools/crash" verify "$mnt/$w/$r" "$work/log.$w.$r" >"$work/out" ||
				fail "round $round (seed $seed): what writer $w of round $r was promised is not there"
		done
	done
	[ $failures -eq 0 ] || break
done
"$GARNER" sync "$lib" || fail "sync"
unmount_library
check_library
finish
