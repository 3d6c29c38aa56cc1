#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A mounted library whose bucket goes wrong in every way that fault-proxy knows: what is here is as usable as ever, what is not
# here is right or an error, and once the bucket is back, all is sent and all can be read.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
top_srcdir=$(realpath "${top_srcdir:-.}")
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys test:tester testing

faults=(refuse reset blackhole 'fail 500 InternalError' 'fail 503 SlowDown' some 'cut 1000' corrupt 'lose PUT'
	'fail 403 ExpiredToken' 'fail 403 SignatureDoesNotMatch' 'fail 403 RequestTimeTooSkewed' 'fail 404 NoSuchBucket')
patience=25 # what waits for the bucket waits for longer: 30 s until a transfer that stands still is given up

# kept FILE: a new file in the mount, and its hash in the list of what has to be there.
kept() {
	mkdir -p "$mnt/${1%/*}"
	noise 2 "$1" >"$mnt/$1" || fail "cannot write $1"
	echo "$(noise 2 "$1" | sha256sum | cut -d' ' -f1)  $1" >>list
}

# What needs no bucket, and must not wait for it either.
local_things() {
	local what=$1 name=local/${1// /-}
	timeout $patience bash -c "find '$mnt' >/dev/null && ls -l '$mnt' >/dev/null && df '$mnt' >/dev/null" ||
		fail "$what: find, ls or df (status $?)"
	kept "$name"
	(cd "$mnt" && timeout $patience sha256sum --status -c <(grep " $name\$" "$work/list")) || fail "$what: $name differs"
	mv "$mnt/$name" "$mnt/$name-moved" && sed -i "s| $name\$| $name-moved|" list || fail "$what: mv"
	timeout $patience "$GARNER" sync "$lib" || fail "$what: garner sync"
	timeout $patience "$GARNER" status --json "$lib" >/dev/null || fail "$what: garner status"
}

# There is no copy of any chunk here any more.
forget_content() {
	unmount_library
	sqlite3 "$lib/garner.db" 'DELETE FROM place' || fail "sqlite3"
	find "$lib/blobs" -type f -size +64k -delete
	mount_library
}

# remote_read WHAT FILE: right, or an error; the time for that is a read's timeout and a little more.
remote_read() {
	local got status
	got=$(timeout $patience sha256sum <"$mnt/$2" 2>/dev/null)
	status=$?
	[ $status -ne 124 ] || fail "$1: reading $2 hangs"
	[ $status -ne 0 ] || [ "${got%% *}" = "$(sed -n "s| *$2\$||p" list)" ] || fail "$1: $2 has other bytes"
	return $status
}

swift "$work/swift"
proxy "${endpoint##*:}"
"$s3tool" bucket "http://$endpoint" s3://lib || fail "no bucket can be made"
make_library --s3 s3://lib/here --endpoint "http://$proxied"
sed -i 's/^#read-timeout.*/read-timeout = 1s/' "$lib/config"
grep -q '^read-timeout' "$lib/config" || sed -i '/^\[s3\]/a read-timeout = 1s' "$lib/config"
proxy_does refuse
mount_library
for fault in "${faults[@]}"; do
	kept "old/${fault// /-}"
done
for fault in "${faults[@]}"; do
	proxy_does "$fault"
	local_things "$fault"
done
"$GARNER" push --wait --timeout 2s "$lib" 2>err && fail "push --wait says that all is in a bucket that is gone"

# It is back: what waited is sent, without being told.
proxy_does pass
check "push --wait" "$GARNER" push --wait --timeout 2m "$lib"
wanted=$(sqlite3 "file:$lib/garner.db?mode=ro" 'SELECT COUNT(*) FROM chunk WHERE refcount > 0')
check_is "chunks in the bucket" "$wanted" "$("$s3tool" keys "http://$endpoint" s3://lib/here/chunks | wc -l)"

forget_content
for fault in "${faults[@]}"; do
	proxy_does "$fault"
	remote_read "$fault" "old/${fault// /-}" && [[ $fault =~ ^(refuse|reset|blackhole|corrupt|cut|fail) ]] &&
		fail "$fault: reading succeeds, as if nothing were wrong"
	timeout $patience ls -lR "$mnt" >/dev/null || fail "$fault: ls -lR (status $?)"
done

# Readers that wait for a bucket that does not answer do not keep the mount.
proxy_does blackhole
for i in 1 2 3; do
	cat "$mnt/old/${faults[$i]// /-}" >/dev/null 2>&1 &
done
sleep 0.3
SECONDS=0
kill %% 2>/dev/null
umount -l "$mnt"
within 25 no_daemon || fail "the daemon does not end while the bucket does not answer"
wait %2 %3 %4 2>/dev/null

proxy_does pass
sed -i 's/^read-timeout.*/read-timeout = 60s/' "$lib/config"
mount_library
(cd "$mnt" && sha256sum --quiet -c "$work/list") || fail "not everything comes back"
unmount_library
check_library --deep
finish
