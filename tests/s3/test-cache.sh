#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A mounted library ten times as large as its store may be: written, and read back whole, twice, with the store never above its limit beside what is not in
# the bucket yet; where it is, that is over within a moment. Pins, evictions by hand, and what programs see of it. CACHE_FILES: how many files of 4 MiB (default 20; with the limit a tenth of them).
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
top_srcdir=$(realpath "${top_srcdir:-.}")
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys test:tester testing

files=${CACHE_FILES:-20}
mib=4
limit=$((files * mib / 10))

# How many chunks of a file have a place here.
chunks_of() {
	query "SELECT count(DISTINCT p.chunk) FROM place p JOIN object_chunk oc ON oc.chunk = p.chunk JOIN node n ON n.object = oc.object
		JOIN entry e ON e.ino = n.ino WHERE e.name = CAST('$1' AS BLOB)"
}

# The folders of the store themselves take 4 KiB each.
slack=$((256 * 4 + 256))
most=0
watch_store() {
	local now
	now=$(clean_kib)
	[ "$now" -le $most ] || most=$now
	[ "$now" -le $((limit * 1024 + slack)) ]
}

swift "$work/swift"
"$s3tool" bucket "http://$endpoint" s3://lib || fail "no bucket can be made"
make_library --chunker fixed --chunk-avg 1M --s3 s3://lib/here --endpoint "http://$endpoint"
sed -i "s/^\[cache\]/&\nlimit = ${limit}MiB\nmin-free = 0/" "$lib/config"
mount_library

while :; do clean_kib; done >samples 2>/dev/null &
sampler=$!
for i in $(seq "$files"); do
	noise $mib "$i" >"$mnt/$i" || fail "writing $i"
	noise $mib "$i" | sha256sum | sed "s/-/$i/" >>list
	within 60 watch_store || fail "writing: the store is above its limit after $i: $(clean_kib) KiB of $limit MiB"
done
noise 2 pinned >"$mnt/pinned" || fail "writing"
check "push --wait" "$GARNER" push --wait --timeout 2m "$lib"
kill $sampler
wait $sampler 2>/dev/null
echo "while writing at most $(sort -n samples | tail -1) KiB of $limit MiB that are in the bucket, of $(wc -l <samples) looks"
within 60 watch_store || fail "the store is above its limit after all was sent: $(clean_kib) KiB of $limit MiB"

most=0
for round in 1 2; do
	for i in $(seq "$files"); do
		(cd "$mnt" && sha256sum --status -c <(grep " $i\$" "$work/list")) || fail "round $round: $i differs"
		within 60 watch_store || fail "round $round: the store is above its limit after $i: $(clean_kib) KiB of $limit MiB"
	done
done
echo "at most $most KiB of $limit MiB that are in the bucket"
json ".mount.cache.limit_bytes == $((limit << 20)) and .mount.cache.evicted_bytes > 0" status --json "$lib"
gives 0 '*store: *evicted since the mount*' '' status "$lib"

# What is pinned stays, whatever is read; what was pulled is kept, once there is room.
gives 0 '' '' pin "$lib" /pinned
unmount_library
mount_library
within 60 "$GARNER" pull "$lib" /pinned >/dev/null 2>&1 || fail "what is pinned cannot be pulled"
for i in 2 3 4 5; do
	cat "$mnt/$i" >/dev/null || fail "reading $i"
done
check_is "chunks of the pinned file here" 2 "$(chunks_of pinned)"
gives 1 '*' '*1 pinned*' evict "$lib" /pinned

# Open files keep what they have; closed ones can go, but for their ends, which need no bucket.
exec 5<"$mnt/6"
head -c 100000 <&5 >/dev/null
gives 1 'evicted 0*' '*1 open*' evict "$lib" /6
exec 5<&-
within 60 "$GARNER" evict "$lib" /6 >/dev/null 2>&1 || fail "a closed file is not evicted"
stop_servers
head -c 65536 "$mnt/6" | cmp - <(noise $mib 6 2>/dev/null | head -c 65536) || fail "the first bytes are not here"
tail -c 65536 "$mnt/6" | cmp - <(noise $mib 6 | tail -c 65536) || fail "the last bytes are not here"
timeout 60 ls -l "$mnt" >/dev/null || fail "ls without the bucket"
echo new >"$mnt/new" || fail "writing without the bucket"
unmount_library
gives 0 '*' '' fsck --deep "$lib"
finish
