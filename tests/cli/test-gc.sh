#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner gc with a bucket: what is purged goes there too, in its time, and nothing else does; also when it is killed at any point, and when content comes back meanwhile. GC_KILLS says how often it is killed.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys AKIATEST a/secret+of=tests
serve

keys() {
	"$s3tool" keys "$endpoint" s3://bucket/lib | grep -E "^lib/$1/" | sed 's|^lib/||'
}

# has COUNT FOLDER WHEN: so many objects are there.
has() {
	local count
	count=$(keys "$2" | grep -c .)
	[ "$count" -eq "$1" ] || fail "$3: $count, not $1"
}

# Removes below / for good, and has it collected here.
purge() {
	gives 0 '*' '' rm -r lib "$@"
	gives 0 '*' '' purge lib --all
}

gives 0 'Made*' '' init lib --chunker fixed --chunk-avg 64K --s3 s3://bucket/lib --endpoint "$endpoint"
mkdir source
head -c 300000 /dev/urandom >source/keep
{ head -c 131072 source/keep && head -c 200000 /dev/urandom; } >source/shared
head -c 400000 /dev/urandom >source/gone
gives 0 '*' '' import lib source/keep source/shared source/gone
gives 0 '' '' push --wait lib
has 16 chunks "chunks of all"

# Deleted is not gone: the trash has it.
gives 0 '*' '' rm lib gone
gives 0 '*deleted 0 chunks*; 0 (*' '' gc --grace 0s lib
has 16 chunks "chunks with the trash"

# Purged, it waits for its time.
gives 0 '*' '' purge lib --all
gives 0 '*deleted 0 chunks*; 7 (390.6 KiB)*there still*' '' gc --grace 0s lib
gives 0 '*deletions: *7 chunks*the first go from 20*' '' status lib
json '.deletions.chunks == 7 and .deletions.manifests == 1' status --json lib
has 16 chunks "chunks in the time of grace"

# What comes back in that time is found there, and stays.
gives 0 '*' '' import lib source/gone
gives 0 '' '' push --wait lib
json '.deletions.chunks == 0' status --json lib
sed -i 's/^#delete-after.*/delete-after = 0/' lib/config
gives 0 '*deleted 0 chunks*' '' gc --grace 0s lib
has 16 chunks "chunks that came back"

# What others need stays. Nobody who recovers misses any of it.
purge gone shared
json '.bucket.chunks == 11 and .bucket.manifests == 2 and .bucket.waiting_chunks == 0' gc --grace 0s --json lib
has 5 chunks "chunks of what stays"
has 1 manifests "manifests of what stays"
json '.missing == 0 and .chunks == .chunks_in_bucket and .older == false' recover --json s3://bucket/lib back --endpoint "$endpoint"
gives 0 '*' '' export back keep copy
cmp source/keep copy || fail "not every byte came back"
gives 0 '*' '' fsck --deep back
rm -rf back

# Not by who has a library that goes on elsewhere, nor without a backup, nor without the bucket.
gives 0 '*' '' import lib source/gone
gives 0 '' '' push --wait lib
purge gone
gives 0 'Recovered*' '*' recover s3://bucket/lib other --endpoint "$endpoint"
gives 0 'The bucket has*' '' backup other
gives 0 '*deleted 0 chunks*7 (*' '*nothing more is deleted*elsewhere*' gc --grace 0s lib
has 12 chunks "chunks of another's library"
gives 0 'The bucket has*' '' backup --take-over lib
sed -i 's/^#backup = on/backup = off/' lib/config
gives 0 '*deleted 0 chunks*7 (*' '*without a backup*' gc --grace 0s lib
sed -i 's/^backup = off/backup = on/' lib/config
tell bucket off
gives 0 '*deleted 0 chunks*7 (*' '*nothing more is deleted*' gc --grace 0s lib
tell bucket on
gives 0 '*deleted 7 chunks*; 0 (*' '' gc --grace 0s lib
has 5 chunks "chunks after all that"

# What nothing names, as a lost machine may leave it, is looked for when that is wanted, and goes the same way. What is no chunk is left alone.
head -c 1000 /dev/urandom >stray
stray=$(sha256sum <stray | cut -d' ' -f1)
printf '%s\n' "chunks/$stray 0 1000 stray" "manifests/$stray 0 1000 stray" "chunks/other 0 1000 stray" | "$s3tool" put "$endpoint" s3://bucket/lib
gives 2 '' '*--bucket*' gc --dry-run lib
json '.bucket.strays == {chunks: 1, chunk_bytes: 1000, manifests: 1} and .bucket.waiting_chunks == 0' gc --bucket --dry-run --json lib
gives 0 '*deleted 0 chunks*' '' gc --grace 0s lib
has 7 chunks "chunks with strays"
sed -i 's/^delete-after.*/delete-after = 7d/' lib/config
gives 0 '*found 1 chunks (1000 B) and 1 manifests*deleted 0 chunks*; 1 (*' '' gc --grace 0s --bucket lib
has 7 chunks "chunks with strays in the time of grace"
sed -i 's/^delete-after.*/delete-after = 0/' lib/config
gives 0 '*found 0 chunks*deleted 1 chunks*; 0 (*' '' gc --grace 0s --bucket lib
has 6 chunks "chunks without strays"
has 1 manifests "manifests without strays"
"$s3tool" delete "$endpoint" s3://bucket/lib chunks/other

# kill -9 anywhere, while the same content comes and goes: what rows say is in the bucket is there, and in the end nothing else is.
for i in $(seq 6); do head -c $((i * 70000)) /dev/urandom >"source/x$i"; done
for i in $(seq "${GC_KILLS:-8}"); do
	gives 0 '*' '' import lib source/x$((i % 6 + 1)) source/x$((i * 5 % 6 + 1))
	gives 0 '' '' push --wait lib
	"$GARNER" rm lib x$((i % 6 + 1)) >/dev/null
	"$GARNER" purge lib --all >/dev/null
	(
		"$GARNER" gc --grace 0s lib &
		sleep "$(printf '0.%03d' $((i * 37 % 160)))"
		kill -KILL $!
		wait $!
	) &>/dev/null
	# As if the time had passed in which a request may be under way.
	sqlite3 lib/garner.db "PRAGMA busy_timeout = 5000; UPDATE tombstone SET until_ns = 1" >/dev/null
	sqlite3 lib/garner.db "SELECT lower(hex(hash)) FROM chunk WHERE remote = 1" | LC_ALL=C sort >named
	keys chunks | sed 's|^chunks/||' | LC_ALL=C sort >there
	[ -z "$(comm -23 named there)" ] || fail "kill $i: rows name chunks that are gone from the bucket: $(comm -23 named there)"
done
gives 0 '' '' push --wait lib
gives 0 '*; 0 (*' '' gc --grace 0s lib
sqlite3 lib/garner.db "SELECT lower(hex(hash)) FROM chunk WHERE remote = 1" | LC_ALL=C sort >named
keys chunks | sed 's|^chunks/||' | LC_ALL=C sort >there
diff named there || fail "the bucket does not have what the library has"
json '.missing == 0 and .chunks == .chunks_in_bucket' recover --json s3://bucket/lib back --endpoint "$endpoint"
gives 0 '*' '' fsck --deep back
finish
