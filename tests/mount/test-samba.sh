#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# smbd serves a mount with the share of packaging/smb.conf.example: put, get, rename, delete, a folder tree, through smbclient. smbd runs in the foreground
# on the loopback, on a port, with a configuration and with state of its own, and is ended by its process id.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
[ "$EUID" -eq 0 ] || exec sudo -n --preserve-env=top_srcdir,top_builddir,GARNER,MOUNT_MODE,TMPDIR "$0"
for tool in smbd smbclient smbpasswd testparm; do
	command -v $tool >/dev/null || { fail "$tool is missing"; finish; }
done
make_library
mount_library allow_other
chmod 755 "$work"

user=$(id -un)
port=$((20000 + RANDOM % 20000))
state=$work/samba
mkdir -p "$state"/{private,lock,state,cache,pid,ncalrpc}
cat >"$state/smb.conf" <<END
[global]
	server role = standalone server
	interfaces = lo
	bind interfaces only = yes
	smb ports = $port
	disable netbios = yes
	private dir = $state/private
	lock directory = $state/lock
	state directory = $state/state
	cache directory = $state/cache
	pid directory = $state/pid
	ncalrpc dir = $state/ncalrpc
	log file = $state/log
	passdb backend = tdbsam:$state/private/passdb.tdb
	load printers = no
	disable spoolss = yes
END
sed "s|/mnt/assets|$mnt|" "$top_srcdir/packaging/smb.conf.example" >>"$state/smb.conf"
testparm -s "$state/smb.conf" >"$state/testparm" 2>&1 || fail "testparm: $(cat "$state/testparm")"
grep -iE 'unknown|ignor|invalid|deprecated' "$state/testparm" && fail "the example has words that Samba does not know"
printf 'secret\nsecret\n' | smbpasswd -c "$state/smb.conf" -s -a "$user" >/dev/null || fail "smbpasswd"

# Without a terminal smbd takes the end of its standard input for the end of its work.
mkfifo "$state/stdin"
exec 8<>"$state/stdin"
smbd --foreground --debug-stdout --configfile="$state/smb.conf" <"$state/stdin" >"$state/out" 2>&1 &
smbd=$!
end_samba() {
	kill -TERM $smbd 2>/dev/null
	wait $smbd 2>/dev/null
	smbd=
}
trap '[ -z "$smbd" ] || end_samba; cleanup' EXIT

# smb COMMANDS…
smb() {
	smbclient --configfile="$state/smb.conf" -p $port -U "$user%secret" //127.0.0.1/library -c "$*" >"$work/smb" 2>&1
	local code=$?
	[ $code -eq 0 ] && ! grep -q NT_STATUS "$work/smb"
}
answers() {
	smb ls
}
within 120 answers || { fail "smbd does not answer: $(tail -n 20 "$work/smb" "$state/out")"; finish; }

cd "$work" || exit 1
mkdir -p tree/{a,b}/deep
head -c 9000000 /dev/urandom >big
: >empty
for f in tree/a/1 tree/a/deep/2 tree/b/3 "tree/b/deep/ä ö.txt"; do
	head -c $((RANDOM + 1)) /dev/urandom >"$f"
done

check "put" smb 'put big; put empty'
check "put, in the mount" cmp big "$mnt/big"
check "get" smb 'get big back; get empty empty-back'
check "get, compared" cmp big back
check "an empty file" test -f empty-back -a ! -s empty-back
check "mkdir and put" smb 'mkdir folder; cd folder; put big inside.bin'
check "in the folder" cmp big "$mnt/folder/inside.bin"
check "rename" smb 'rename big moved.bin; rename folder moved'
check "renamed, in the mount" cmp big "$mnt/moved/inside.bin"

# A copy on the server's side, as Windows' Explorer and scopy ask for it, shares what is stored.
taken() {
	du -s -k "$lib/blobs" | cut -f 1
}
seal_library
before=$(taken)
check "a copy on the server's side" smb 'scopy moved.bin copied.bin'
check "the copy" cmp big "$mnt/copied.bin"
seal_library
[ $(($(taken) - before)) -lt 512 ] || fail "the copy takes $(($(taken) - before)) KiB"
check "the copy, stored" cmp big "$mnt/copied.bin"
check_not "the old name" test -e "$mnt/big"
check_not "a rename over a folder" smb 'rename moved.bin moved'
check "put over an existing file" smb 'put tree/a/1 moved.bin'
check "the new content" cmp tree/a/1 "$mnt/moved.bin"
check "names in any case" smb 'get MOVED.BIN any; ls Moved\*'
check "delete" smb 'del copied.bin; del moved.bin; del moved\inside.bin; rmdir moved'
check_is "what is left" empty "$(ls "$mnt")"
check_not "rmdir of what is not there" smb 'rmdir moved'

check "a tree" smb 'recurse ON; prompt OFF; mput tree'
check "the tree, in the mount" diff -r tree "$mnt/tree"
mkdir down
check "the tree back" smb "lcd down; recurse ON; prompt OFF; mget tree"
check "the tree, compared" diff -r tree down/tree
check "a stream" smb 'put tree/a/1 empty:stream; get empty:stream stream'
check "the stream, compared" cmp tree/a/1 stream
check "attributes" smb 'setmode empty +h; ls empty'
check "the attribute" grep -qE '^ *empty +[A-Z]*H' "$work/smb"
mkdir "$mnt/.garner" && echo x >"$mnt/.garner/inside"
check_not ".garner is kept from clients" smb 'get .garner\inside inside'
check "a listing" smb ls
check_not ".garner is listed" grep -qF .garner "$work/smb"

# What the mount gets is seen by clients, and what clients hold is sealed and stays.
echo local >"$mnt/local"
check "a local file" smb 'get local local-back'
check "the local file, compared" cmp "$mnt/local" local-back
check "deltree" smb 'deltree tree'
check_not "the tree is gone" test -e "$mnt/tree"
end_samba
seal_library
remount_library allow_other
check "after a remount" cmp "$mnt/local" local-back
check_is "the stream after a remount" "$(stat -c %s tree/a/1)" \
	"$(($(getfattr --absolute-names --only-values -n 'user.DosStream.stream:$DATA' "$mnt/empty" | wc -c) - 1))"
unmount_library
check_library
finish
