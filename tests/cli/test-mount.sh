#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# mount, umount, status, sync, fsck and doctor: the likeliest mistakes, and what each says of a mount.
. "${top_srcdir:-.}/tests/mount/lib.sh" && . "$top_srcdir/tests/cli/lib.sh" || exit 1
make_library
cd "$work" || exit 1
mkdir full other "li b,c\\d" "m t,x"
touch full/file file
extra_mounts+=("$work/full" "$work/m t,x" "$work/other")

writable() {
	touch "$mnt/$1" 2>/dev/null
}
listed() {
	ls "$mnt" >/dev/null 2>&1
}

gives 3 '' 'garner mount: nowhere: there is no such folder to mount at; make it first' mount library nowhere
gives 3 '' 'garner mount: *file: not a folder; a mountpoint is one' mount library file
gives 2 '' 'garner mount: */library: mounted there, the library would lie in its own mount*' mount library library
gives 2 '' 'garner mount: */blobs: mounted there, the library would lie in its own mount*' mount library library/blobs
gives 2 '' 'garner mount: *: mounted there, the library would lie in its own mount*' mount library .
gives 2 '' 'garner mount: */library: a library itself; the library comes first*' mount mount library
for o in bogus uid= uid=x umask=9 threads=0 threads=1000 ro,bogus; do
	gives 2 '' "garner mount: unknown or malformed mount option '${o#ro,}'*" mount -o "$o" library mount
done
gives 3 '' 'garner umount: mount: no library is mounted there' umount mount
gives 3 '' 'garner umount: library: no library is mounted there' umount library
gives 3 '' 'garner umount: nowhere: no library is mounted there' umount nowhere
gives 3 '' 'garner umount: /proc: no library is mounted there' umount /proc

gives 0 '' 'garner mount: */full: not empty; what is in it is hidden while the library is mounted' mount library full
gives 5 '' "*garner mount: */library: mounted at $work/full" mount library mount
gives 0 '' '' umount full
gives 0 '' '' mount -o nonempty library full
gives 0 '' '' umount library
[ -e full/file ] || fail "umount by the library leaves it mounted"

gives 0 *$'\nmounted:   no' '' status library
json '.mount == null and .mountpoint == null and .folders == 1 and .assets == 0' status --json library
mount_library
gives 0 *$'\nmounted:   '"$mnt, by process "[0-9]*$'\nopen:      0 files, 0 for writing\nsealing:   0 files waiting, 0 B; '* '' status library
exec 9>"$mnt/open"
echo x >&9
json '.mountpoint == "'"$mnt"'" and .mount.ok and .mount.pid > 1 and .mount.files.writing == 1' status --json library
gives 0 '' 'garner sync: left out what is still open: 1 file' sync library
gives 5 '' "garner umount: $mnt: files in it are in use*--lazy*" umount mount
gives 5 '' "garner mount: $mnt: files are open for writing" mount -o remount,ro library "$mnt"
exec 9>&-
soon gives 0 '' '' sync library
json '.drafts == 0 and .assets == 1 and .chunks == 1 and .mount.sealing.pending_files == 0' status --json library
gives 4 '' "garner status: mount: not the library, but where it is mounted; the library is $lib" status mount
gives 5 '' "*garner gc: library: mounted at $mnt*" gc library
gives 8 '' "*garner fsck: library: mounted at $mnt" fsck --repair library
gives 0 '* 0 faults, 0 mended, 0 damaged assets' '' fsck --deep library
json '.found == 0 and .faults == [] and .chunks == 1' fsck --json library
gives 0 '*/dev/fuse*library'"'"'s disk*' '' doctor library
json 'map(.verdict) | index("broken") == null' doctor --json library

gives 0 '' '' mount -o remount,ro library mount
check_not "a remount to ro" writable new
gives 0 '' '' mount -o remount,rw library mount
check "a remount to rw" writable new
gives 0 '' '' umount --lazy mount
within 120 no_daemon || fail "the daemon stays after a lazy umount"
gives 3 '' 'garner mount: mount: no library is mounted there' mount -o remount library mount

gives 0 '' '' mount -o ro library mount
check_not "writing to a read-only mount" writable newer
gives 7 '' 'garner mount: mount: was mounted read-only; to write, *' mount -o remount,rw library mount
gives 0 *$'\nmounted:   '"$mnt, read-only or not answering" '' status library
gives 0 '' '' umount mount

# ACLs that are not shown stay.
mount_library
touch "$mnt/guarded" && setfacl -m u:1234:r "$mnt/guarded" && setfattr -n user.a -v b "$mnt/guarded" || fail "setfacl"
remount_library noacl
check_is "attributes without ACLs" user.a "$(getfattr --absolute-names -m - "$mnt/guarded" | sed -n 2p)"
check_not "getfattr of an ACL with noacl" getfattr -n system.posix_acl_access "$mnt/guarded"
check_not "setfacl with noacl" setfacl -m u:1234:rw "$mnt/guarded"
check_not "setfacl -b with noacl" setfattr -x system.posix_acl_access "$mnt/guarded"
remount_library
check_is "the ACL" user:1234:r-- "$(getfacl -cp "$mnt/guarded" | grep 1234)"
rm "$mnt/guarded"
unmount_library

# Without a mount, sync seals by itself.
mount_library
echo new >"$mnt/unsealed"
unmount_library
gives 0 '' '' sync library
json '.drafts == 0 and .assets == 3' status --json library

# What the disk failed to keep is named, not sealed, until someone takes what there is.
mount_library
echo lost >"$mnt/lost"
unmount_library
sqlite3 library/garner.db 'UPDATE blob SET mtime_ns = 1 WHERE id IN (SELECT draft FROM node)' || fail "sqlite3"
gives 0 *$'\ntrouble:   the disk failed to keep what was written to 1 assets; '* '' status library
gives 1 '' "*garner sync: library: Input/output error" sync library
json '.drafts == 1 and .doubts == 1' status --json library
gives 4 '"/lost" (inode '*'): the disk failed to keep what was written to it'* '' fsck library
gives 1 *' 1 faults, 1 mended'* '' fsck --repair library
gives 0 '' '' sync library
json '.drafts == 0 and .doubts == 0' status --json library

# A mountpoint that a killed daemon left, by its name from here.
mount_library
kill -KILL "$(daemon_pids)"
within 120 no_daemon || fail "SIGKILL"
check_not "a dead mount answers" listed
gives 0 '' '*a mount whose daemon died is still there; unmounting it' mount library mount
kill -KILL "$(daemon_pids)"
within 120 no_daemon || fail "SIGKILL"
gives 0 '' '' umount mount/
gives 3 '' '*no library is mounted there' umount mount

# Names that the table of mounts has to escape.
"$GARNER" init "li b,c\\d/x" >/dev/null
gives 0 '' '' mount "li b,c\\d/x" "m t,x"
gives 0 '*mounted:   *m t,x, by process*' '' status "li b,c\\d/x"
gives 0 '' '' umount "m t,x"
gives 0 '' '' mount "li b,c\\d/x" "m t,x"
gives 0 '' '' umount "li b,c\\d/x"

# In the foreground, until a signal.
"$GARNER" mount -f library mount &
pid=$!
within 120 mountpoint -q "$mnt" || fail "mount -f"
kill -TERM $pid
wait $pid || fail "mount -f ends with $? by SIGTERM"
check_not "still mounted after SIGTERM" mountpoint -q "$mnt"
check_library
finish
