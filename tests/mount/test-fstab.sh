#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A library in fstab: mount -a, mount, remount, umount, and mount.garner by itself. In a mount namespace of its own, where this build is mount(8)'s helper
# and where the line is in a private fstab.
if [ -z "${OWN_NAMESPACE:-}" ]; then
	export OWN_NAMESPACE=1
	[ "$EUID" -eq 0 ] && exec unshare -m "$0"
	exec unshare -rm "$0"
fi
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

# For an ordinary user, mount(8) calls the helper as that user, who may have no way to a build in root's home.
chmod 755 "$work"
mkdir "$work/bin"
cp "$GARNER" "$work/bin/"
GARNER=$work/bin/$(basename "$GARNER")

# /sbin as it is, and the helper in it: what the whole machine has lies behind links.
sbin=$(realpath /sbin)
mkdir "$work/real" "$work/sbin"
mount --bind "$sbin" "$work/real" || fail "bind"
extra_mounts+=("$sbin" "$work/real")
cp -rsT "$work/real" "$work/sbin" 2>/dev/null || ln -s "$work"/real/* "$work/sbin/"
ln -sf "$GARNER" "$work/sbin/mount.garner"
ln -sf "$GARNER" "$work/sbin/mount.fuse.garner"
mount --bind "$work/sbin" "$sbin" || fail "bind"

fstab=$work/fstab
: >"$fstab"
mount --bind "$fstab" /etc/fstab || { fail "there is no /etc/fstab"; exit 1; }
extra_mounts+=(/etc/fstab)
make_library

# line LIBRARY MOUNTPOINT OPTIONS: the whole fstab.
line() {
	echo "$1 $2 garner $3 0 0" >"$fstab"
}
away() {
	umount "$mnt" || fail "umount"
	within 120 no_daemon || fail "the daemon stays after umount"
}
writable() {
	touch "$mnt/file" 2>/dev/null
}
# refused TEXT PATTERN COMMAND…: the command fails, and says so.
refused() {
	local text=$1 pattern=$2
	shift 2
	"$@" 2>"$work/err" && fail "$text: it succeeds"
	grep -q "$pattern" "$work/err" || fail "$text: it says '$(cat "$work/err")'"
}

line "$lib" "$mnt" "defaults,_netdev,nofail,x-systemd.automount,x-gvfs-show,comment=ours"
check "mount -a" mount -a
check "what mount -a mounted" writable
check "mount -a again" mount -a
check_is "mounts after mount -a twice" 1 "$(grep -c " $mnt fuse.garner " /proc/self/mounts)"
check_is "the source in the table" "$lib" "$(findmnt -no SOURCE "$mnt")"
away

check "mount by the mountpoint" mount "$mnt"
check "writing" writable
check "remount,ro" mount -o remount,ro "$mnt"
check_not "writing after remount,ro" writable
check "remount,rw" mount -o remount,rw "$mnt"
check "writing after remount,rw" writable
exec 9>"$mnt/open"
refused "remount,ro over a file that is written" 'files are open for writing' mount -o remount,ro "$mnt"
exec 9>&-
away
check "mount by the library" mount "$lib"
away

# By the type that the kernel shows, without a line.
: >"$fstab"
check "mount -t" mount -t garner -o noexec,noatime "$lib" "$mnt"
check "remount,ro without a line" mount -o remount,ro "$mnt"
check_not "writing" writable
check "noexec" findmnt -no OPTIONS -O noexec "$mnt" >/dev/null
away
check "mount -r" mount -r -t garner "$lib" "$mnt"
check_not "writing to mount -r" writable
refused "remount,rw of what was mounted read-only" 'unmount it and mount it again' mount -o remount,rw "$mnt"
away

line "$lib" "$mnt" ro,user,noauto
check "mount -a without auto" mount -a
check_not "noauto" mountpoint -q "$mnt"
check "mount ro" mount "$mnt"
check_not "writing to ro" writable
away

line "$lib" "$mnt" "uid=$(id -u),gid=0,umask=027,relatime,nodev,nosuid"
check "mount with owners" mount -a
: >"$mnt/owned" && chmod 666 "$mnt/owned"
check_is "owner and mode" "$(id -u):0 640" "$(stat -c '%u:%g %a' "$mnt/owned")"
away

# Names that fstab has to escape.
"$GARNER" init "$work/li b,x" >/dev/null
mkdir "$work/m t,x"
extra_mounts+=("$work/m t,x")
line "${work}/li\\040b,x" "${work}/m\\040t,x" defaults
check "mount with blanks" mount -a
check_is "the source in the table" "$work/li b,x" "$(findmnt -no SOURCE "$work/m t,x")"
check "mount with blanks again" mount -a
umount "$work/m t,x" || fail "umount with blanks"
within 120 no_daemon || fail "the daemon stays"

# What goes wrong is told, and fails; with nofail a library that is not there does not.
line "$work/nowhere" "$mnt" defaults
refused "a library that is not there" 'there is no such library' mount -a
line "$work/nowhere" "$mnt" nofail
mount -a 2>"$work/err" || fail "nofail: $(cat "$work/err")"
line "$lib" "$mnt" bogus
refused "an unknown option" "unknown or malformed mount option 'bogus'" mount -a
check_not "nothing is mounted" mountpoint -q "$mnt"

helper=$work/sbin/mount.garner
check_exit "no operands" 1 "$helper"
check_exit "an unknown option" 1 "$helper" "$lib" "$mnt" -x
check_exit "an unknown mount option" 1 "$helper" "$lib" "$mnt" -o bogus
check_exit "no library" 32 "$helper" "$work/nowhere" "$mnt" -o rw
check_exit "no library, with nofail" 0 "$helper" "$work/nowhere" "$mnt" -o rw,nofail
check_exit "not a library, with nofail" 32 "$helper" "$work/sbin" "$mnt" -o nofail
check_exit "no mountpoint, with nofail" 32 "$helper" "$lib" "$work/nowhere" -o nofail
check_exit "no mountpoint" 32 "$helper" "$lib" "$work/nowhere" -o rw
check_exit "fake" 0 "$helper" "$lib" "$mnt" -fn -o rw
check_not "fake mounts nothing" mountpoint -q "$mnt"
check_exit "as mount(8) calls it" 0 "$helper" "$lib" "$mnt" -sv -t garner -o rw,nofail
away

# An ordinary user, where root's namespace can have one.
if [ "$(cat /proc/self/uid_map | tr -s ' ')" = " 0 0 4294967295" ]; then
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	install -d -o 65534 -g 65534 "$work/theirs" "$work/at"
	extra_mounts+=("$work/at")
	"${as[@]}" "$GARNER" init "$work/theirs" >/dev/null || fail "init by a user"
	line "$work/theirs" "$work/at" noauto,user
	# A bare system has the device for root alone.
	if ! "${as[@]}" test -w /dev/fuse; then
		mknod -m 666 "$work/fuse" c 10 229 && mount --bind "$work/fuse" /dev/fuse || fail "/dev/fuse"
		extra_mounts+=(/dev/fuse)
	fi
	check "mount by a user" "${as[@]}" mount "$work/at"
	check "a user's mount" "${as[@]}" touch "$work/at/file"
	check "the user's file" test "$("${as[@]}" stat -c %u "$work/at/file")" = 65534
	check "umount by the user" "${as[@]}" umount "$work/at"
	within 120 no_daemon || fail "the daemon stays"
fi
check_library
finish
