#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Bytes of the store that the disk has changed, cut off or lost, of a library with a bucket: what is gone is read from there, fsck finds all of it and brings it back, and touches nothing while
# the bucket does not answer.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys AKIATEST 'a/secret+of=tests'
serve

# blob_of FILE: the path of the blob that has its first chunk.
blob_of() {
	sqlite3 "$lib/garner.db" "SELECT printf('$lib/blobs/%02x/%016x', p.blob >> 8 & 255, p.blob) FROM entry e JOIN node n ON n.ino = e.ino
		JOIN object_chunk c ON c.object = n.object AND c.idx = 0 JOIN place p ON p.chunk = c.chunk WHERE CAST(e.name AS TEXT) = '$1' LIMIT 1"
}

# What each file is, and the mount reads.
all_there() {
	mount_library
	(cd "$mnt" && sha256sum --quiet -c "$work/sums") || fail "$1: not the bytes that were written"
	unmount_library
}

make_library --s3 s3://bucket/lib "--endpoint=$endpoint"
mount_library
for i in flipped cut gone hole other; do
	head -c 3000000 /dev/urandom >"$mnt/$i"
done
for i in $(seq 8); do
	head -c 5000 /dev/urandom >"$mnt/small$i"
done
seal_library
"$GARNER" push --wait "$lib" || fail "not all is in the bucket"
(cd "$mnt" && sha256sum ./*) >sums
unmount_library
check_library --deep

# A file of the store that is gone, and a library that notices: it is read from the bucket, and is no damage to an asset.
gone=$(blob_of gone)
rm "$gone"
gives 4 "*the blob's file is missing*the bucket has it*0 damaged assets" '' fsck "$lib"
all_there "a blob's file is gone"
gives 1 "*the blob's file is missing*another copy takes its place*0 damaged assets" '*' fsck --repair "$lib"
check_library --deep

# All kinds at once. Without the bucket nothing is given up; with it all comes back.
rm "$(blob_of other)"
printf X | dd of="$(blob_of flipped)" bs=1 seek=100000 conv=notrunc status=none
truncate -s 1000000 "$(blob_of cut)"
fallocate -p -o 500000 -l 1000000 "$(blob_of hole)"
printf X | dd of="$(blob_of small1)" bs=1 seek=20 conv=notrunc status=none
damaged=$(sqlite3 "$lib/garner.db" 'SELECT count(*) FROM node WHERE state <> 1')
tell pause
gives 4 '*the bucket does not answer*0 mended, 0 damaged assets' '*' fsck --deep --repair "$lib"
check_is "assets that are given up" "$damaged" "$(sqlite3 "$lib/garner.db" 'SELECT count(*) FROM node WHERE state <> 1')"
tell resume
gives 4 '*not what was stored*the bucket has it*' '' fsck --deep "$lib"
gives 1 '*not what was stored*brought back from the bucket*0 damaged assets' '*' fsck --deep --repair "$lib"
check_library --deep
all_there "all was brought back"
gives 0 '*' '' gc --grace 0 "$lib"
check_library --deep
all_there "after a collection"

# What the bucket has not, or not as it was, is lost, and said to be.
rm "$(blob_of other)"
chunks=$(sqlite3 "$lib/garner.db" "SELECT lower(hex(k.hash)) FROM entry e JOIN node n ON n.ino = e.ino JOIN object_chunk c ON c.object = n.object
	JOIN chunk k ON k.id = c.chunk WHERE CAST(e.name AS TEXT) = 'other'")
for chunk in $chunks; do
	"$s3tool" get "$endpoint" s3://bucket/lib "chunks/$chunk" >"kept.$chunk" || fail "a chunk is not in the bucket"
	"$s3tool" delete "$endpoint" s3://bucket/lib "chunks/$chunk" || fail "a chunk cannot be deleted"
done
gives 4 '*there is no other copy*other*its content is damaged*brought back*' '*' fsck --repair "$lib"

# Until someone has it: then the asset is what it was.
state() {
	check_is "$1: the state of what was lost" "$2" "$(sqlite3 "$lib/garner.db" "SELECT n.state FROM entry e JOIN node n ON n.ino = e.ino WHERE CAST(e.name AS TEXT) = 'other'")"
}
state "lost" 2
for chunk in $chunks; do
	echo "chunks/$chunk 0 $(stat -c %s "kept.$chunk") kept.$chunk"
done | "$s3tool" put "$endpoint" s3://bucket/lib || fail "the chunks cannot be put back"
gives 1 '*brought back*other*its content is whole again*0 damaged assets' '*' fsck --deep --repair "$lib"
state "found" 1
check_library --deep
all_there "what was lost is found"
tell heal
finish
