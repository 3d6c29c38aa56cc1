#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Uploads by a mount to OpenStack Swift: everything that is written reaches the bucket, each chunk under the hash of its own bytes; a second library sends nothing of
# it again; a bucket that is away holds up neither writing nor unmounting; and a daemon that is killed again and again loses nothing.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
top_srcdir=$(realpath "${top_srcdir:-.}")
s3tool=$(realpath "$s3tool")
trap 'stop_servers; cleanup' EXIT
cd "$work" || exit 1
use_keys test:tester testing
kills=${GARNER_PUSH_KILLS:-6}

swift "$work/swift"
at="--endpoint=http://$endpoint"
"$s3tool" bucket "http://$endpoint" s3://library || fail "no bucket can be made"

keys() {
	"$s3tool" keys "http://$endpoint" "s3://library/$1" | grep -E '/(chunks|manifests)/' | LC_ALL=C sort
}

# same_as_library PREFIX LIBRARY: the bucket has exactly what the library has, and the library knows.
same_as_library() {
	keys "$1" >there
	{
		sqlite3 "$2/garner.db" "SELECT '$1/chunks/' || lower(hex(hash)) FROM chunk WHERE refcount > 0"
		sqlite3 "$2/garner.db" "SELECT '$1/manifests/' || lower(hex(root_hash)) FROM object"
	} | LC_ALL=C sort >wanted
	cmp -s there wanted || fail "the bucket does not have what the library has: $(diff there wanted | head -5)"
	[ "$(sqlite3 "$2/garner.db" 'SELECT (SELECT count(*) FROM upload) + (SELECT count(*) FROM chunk WHERE remote = 0)
		+ (SELECT count(*) FROM object WHERE remote = 0)')" = 0 ] || fail "the library does not know of it"
}

# stored KEY WANTED-FILE: the bucket has these bytes there.
stored() {
	"$s3tool" get "http://$endpoint" s3://library "$1" >got 2>/dev/null && cmp -s got "$2"
}

make_library --chunker fixed --chunk-avg 256K --s3 s3://library/one "$at"
mount_library
mkdir "$mnt/small"
for i in $(seq 40); do head -c $((i * 100)) /dev/urandom >"$mnt/small/$i"; done
head -c 8000000 /dev/urandom >large
cp large "$mnt/large"
cp large "$mnt/again"
gives 0 '' '' push --wait --timeout 60s "$lib"
same_as_library one "$lib"
json '.uploads.chunks == 0 and .mount.uploading.sent > 70 and .mount.uploading.error == null' status --json "$lib"
head -c 262144 large >first
stored "one/chunks/$(sha256sum first | cut -d' ' -f1)" first || fail "a chunk is not its bytes"

# By itself, too, soon after the file is closed.
echo 'one more' >single
cp single "$mnt/single"
within 60 stored "one/chunks/$(sha256sum single | cut -d' ' -f1)" single || fail "the mount uploads nothing by itself"

# Another library with the same content sends no large chunk again.
mkdir other
extra_mounts+=("$work/other")
"$GARNER" init --chunker fixed --chunk-avg 256K --s3 s3://library/one "$at" second >/dev/null
"$GARNER" import second large >/dev/null || fail "import"
"$GARNER" mount second other || fail "no second mount"
gives 0 '' '' push --wait --timeout 60s second
# 31 chunks and a manifest, of which the last chunk and the manifest are small.
json '.mount.uploading.found >= 30' status --json second
"$GARNER" umount other

# servers SIGNAL: stops the servers, which then answer nothing, or lets them go on.
servers() {
	local pid
	while read -r pid; do
		kill "-$1" "$pid" 2>/dev/null
	done <swift/pids
}

# A bucket that answers nothing holds up neither writing nor unmounting, and what was written is not forgotten.
servers STOP
head -c 4000000 /dev/urandom >"$mnt/meanwhile"
soon gives 0 '' '' sync "$lib"
gives 1 '' '*not everything was uploaded in that time*' push --wait --timeout 1s "$lib"
before=$SECONDS
unmount_library
# A transfer that stands still is given up after 30 s.
[ $((SECONDS - before)) -le 25 ] || fail "unmounting waits for the bucket"
servers CONT

# Killed again and again while it uploads, it loses nothing and sends nothing wrong.
caught=0
for ((i = 1; i <= kills || (caught == 0 && i <= 10 * kills); i++)); do
	mount_library
	head -c 3000000 /dev/urandom >"$mnt/killed$i"
	"$GARNER" push "$lib" || fail "push"
	sleep "0.$((RANDOM % 7))"
	"$GARNER" sync "$lib"
	sleep "0.$((RANDOM % 5))"
	kill_daemon
	[ "$(sqlite3 "$lib/garner.db" 'SELECT count(*) FROM upload')" -eq 0 ] || caught=$((caught + 1))
done
[ $caught -gt 0 ] || fail "no kill came while it uploaded"
gives 0 '*' '*' push --wait --timeout 120s "$lib"
same_as_library one "$lib"
check_library --deep
finish
