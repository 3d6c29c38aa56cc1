#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Random operations compared with a model, also across unmounting, killing and sealing.
#   TORTURE_OPS (default 1500 for each of the seeds), TORTURE_SEEDS
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

ops=${TORTURE_OPS:-1500}
make_library --chunk-min 4KiB --chunk-avg 16KiB --chunk-max 64KiB
mount_library

cat >"$work/remount" <<END
cd /
'$GARNER' sync '$lib' || exit 1
if [ \$((RANDOM % 2)) = 0 ]; then
	'$GARNER' umount '$mnt' && '$GARNER' mount $([ -z "$MOUNT_MODE" ] || echo "-o $MOUNT_MODE") '$lib' '$mnt'
fi
END

for seed in ${TORTURE_SEEDS:-1 2 $RANDOM}; do
	mkdir "$mnt/$seed"
	"$tools/torture" "$mnt/$seed" --seed "$seed" --ops "$ops" --remount "bash '$work/remount'" --every 150 ||
		fail "seed $seed"
	check_library
done
unmount_library
check_library
finish
