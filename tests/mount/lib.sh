# SPDX-License-Identifier: GPL-3.0-or-later
# What the mount tests share; sourced by each. A test gets a work folder, a library and a mountpoint of its own, and leaves nothing behind, also when
# it fails: everything it mounted is unmounted, everything it started is ended.
#
#   MOUNT_MODE   options for every mount (default none), so that each test runs in every mode the machine offers

set -u
: "${top_srcdir:=.}" "${top_builddir:=.}" "${GARNER:=garner}" "${MOUNT_MODE:=}"
case $GARNER in */*) GARNER=$(realpath "$GARNER") ;; esac
tools=$(realpath "$top_builddir")/tests/tools

[ -c /dev/fuse ] || { echo "FAIL: there is no /dev/fuse"; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/garner-test-XXXXXX") || exit 1
lib=$work/library
mnt=$work/mount
mkdir "$mnt"
failures=0
extra_mounts=()
extra_loops=()

# Ends what is left. Daemons are found by their library, which only this test has.
cleanup() {
	local m pid
	cd /
	for m in "$mnt" "${extra_mounts[@]}"; do
		umount -l "$m" 2>/dev/null || fusermount3 -qzu "$m" 2>/dev/null
	done
	for pid in $(daemon_pids); do
		kill -KILL "$pid" 2>/dev/null
	done
	for m in "${extra_loops[@]}"; do
		losetup -d "$m" 2>/dev/null
	done
	rm -rf "$work"
}
trap 'exit 130' INT TERM HUP
trap cleanup EXIT

# Processes that have a file of the work folder's libraries open for locking: the daemons of this test.
daemon_pids() {
	local pid
	for pid in $(pgrep -x "$(basename "$GARNER" | cut -c1-15)" 2>/dev/null); do
		ls -l "/proc/$pid/fd" 2>/dev/null | grep -q -- "$work/" && echo "$pid"
	done
}

fail() {
	failures=$((failures + 1))
	echo "FAIL: $*" >&2
}

# check TEXT COMMAND…: the command succeeds.
check() {
	local text=$1
	shift
	"$@" || fail "$text (status $?: $*)"
}

# check_not TEXT COMMAND…: the command fails.
check_not() {
	local text=$1
	shift
	if "$@"; then fail "$text (it succeeded: $*)"; fi
}

# quietly COMMAND…: what it says is not shown. To redirect check itself would hide what that says, too.
quietly() {
	"$@" >/dev/null 2>&1
}

# check_is TEXT WANTED GOT
check_is() {
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}

# check_exit TEXT CODE COMMAND…: the command ends with this code and says something on stderr.
check_exit() {
	local text=$1 code=$2 got
	shift 2
	"$@" 2>"$work/stderr"
	got=$?
	[ $got -eq "$code" ] || fail "$text: exit code $got, wanted $code: $(cat "$work/stderr")"
	[ "$code" -eq 0 ] || [ -s "$work/stderr" ] || fail "$text: nothing on stderr"
}

# within SECONDS COMMAND…: polls until the command succeeds. A machine may stand still for a while, so what is bound to come is given a minute or more.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

join_options() {
	local IFS=,
	local -a all=()
	local o
	for o in "$MOUNT_MODE" "$@"; do
		[ -n "$o" ] && all+=("$o")
	done
	echo "${all[*]}"
}

# noise MIB SEED: bytes like random ones that are the same each time. Where content is cut depends on it: with other bytes each time, a
# bound on what a change costs would fail now and then.
noise() {
	python3 -c 'import random, sys
r = random.Random(sys.argv[2])
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(r.randbytes(1 << 20))' "$1" "$2"
}

# All that was closed is sealed. A mount hears of a close(2) some time after it, on a machine that stands still later than a sync waits for.
all_sealed() {
	local told
	told=$("$GARNER" sync "$lib" 2>&1) && [ -z "$told" ]
}

seal_library() {
	within 120 all_sealed || fail "garner sync: $("$GARNER" sync "$lib" 2>&1)"
}

make_library() {
	"$GARNER" init "$@" "$lib" >/dev/null || { fail "garner init"; exit 1; }
}

# mount_library [OPTIONS]
mount_library() {
	local o
	o=$(join_options "$@")
	"$GARNER" mount ${o:+-o "$o"} "$lib" "$mnt" || { fail "garner mount"; exit 1; }
}

# What keeps the daemon: its stacks, and whoever has the mount in a namespace of his own.
tell_daemon() {
	local pid
	for pid in $(daemon_pids); do
		echo "--- daemon $pid"
		grep -H . "/proc/$pid/task/"*/wchan 2>/dev/null
		timeout 30 gdb -batch -p "$pid" -ex 'thread apply all bt' 2>/dev/null | grep -E '^(#|Thread)'
	done
	grep -lF " $mnt " /proc/[0-9]*/mountinfo 2>/dev/null | sed 's/^/--- it is mounted for /'
}

unmount_library() {
	within 120 "$GARNER" umount "$mnt" 2>>"$work/umount" || {
		fail "garner umount: $(sort -u "$work/umount")"
		tell_daemon >&2
		exit 1
	}
	within 120 no_daemon || {
		fail "the daemon does not end after umount"
		tell_daemon >&2
	}
}

no_daemon() {
	[ -z "$(daemon_pids)" ]
}

remount_library() {
	unmount_library
	mount_library "$@"
}

kill_daemon() {
	local pid
	for pid in $(daemon_pids); do
		kill -KILL "$pid"
	done
	within 120 no_daemon
	umount -l "$mnt" 2>/dev/null || fusermount3 -qzu "$mnt"
}

check_library() {
	"$GARNER" fsck "$@" "$lib" >"$work/fsck" 2>&1 || { fail "fsck is not clean ($?)"; cat "$work/fsck"; }
}

# A small filesystem on a loop device: small_disk SIZE_MIB FOLDER [TYPE]
small_disk() {
	local image=$work/disk.$RANDOM
	truncate -s "$1M" "$image"
	case ${3:-ext4} in
	ext4) mkfs.ext4 -q -F -b "${DISK_BLOCK:-4096}" "$image" ;;
	xfs) mkfs.xfs -q -m reflink=1 "$image" ;;
	esac || return 1
	mkdir -p "$2"
	mount -o loop "$image" "$2" || return 1
	extra_mounts+=("$2")
}

finish() {
	[ $failures -eq 0 ] || exit 1
	exit 0
}
