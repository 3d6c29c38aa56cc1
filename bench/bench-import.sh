#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# How fast garner import is: large files from a warm cache, against cp and against cutting and hashing alone (bench-core says that one); many small files;
# the same again, when all is there.
#
#   ROUNDS (3)  SIZE (512 MiB)  FILES (100000, of 4 KiB)  WORK (a folder on the disk to be measured; default $TMPDIR)

set -u
: "${ROUNDS:=3}" "${SIZE:=512}" "${FILES:=100000}" "${WORK:=${TMPDIR:-/var/tmp}}" "${GARNER:=garner}"
case $GARNER in */*) GARNER=$(realpath "$GARNER") ;; esac
work=$(mktemp -d "$WORK/garner-bench-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# seconds COMMAND…: how long it takes.
seconds() {
	local start=$EPOCHREALTIME
	"$@" >/dev/null || exit 1
	awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", b - a }'
}

# row TEXT AMOUNT UNIT SECONDS…: the median.
row() {
	printf '%s\n' "${@:4}" | sort -n | awk -v text="$1" -v amount="$2" -v unit="$3" '
		{ s[NR] = $1 }
		END { m = s[int((NR + 1) / 2)]; printf "%-28s %10.0f %s  (%.2f s)\n", text, amount / m, unit, m }'
}

fresh() {
	rm -rf "$work/library"
	"$GARNER" init "$work/library" >/dev/null || exit 1
}

copy_synced() {
	cp "$work/large" "$work/copy" && sync "$work/copy"
}

head -c "${SIZE}M" /dev/urandom >"$work/large"
mkdir "$work/small"
python3 - "$work/small" "$FILES" <<'PYTHON'
import os, sys
for i in range(int(sys.argv[2])):
    folder = f"{sys.argv[1]}/{i // 1000}"
    if i % 1000 == 0:
        os.mkdir(folder)
    with open(f"{folder}/{i}", "wb") as f:
        f.write(os.urandom(4096))
PYTHON
sync

large=() copy=() small=() again=()
for ((i = 0; i < ROUNDS; i++)); do
	copy+=("$(seconds copy_synced)")
	rm -f "$work/copy"
	fresh
	large+=("$(seconds "$GARNER" import "$work/library" "$work/large")")
	fresh
	small+=("$(seconds "$GARNER" import "$work/library" "$work/small")")
	again+=("$(seconds "$GARNER" import "$work/library" "$work/small")")
done
row "cp and fsync, large" "$SIZE" MiB/s "${copy[@]}"
row "import, large" "$SIZE" MiB/s "${large[@]}"
row "import, small" "$FILES" files/s "${small[@]}"
row "import, small, again" "$FILES" files/s "${again[@]}"
