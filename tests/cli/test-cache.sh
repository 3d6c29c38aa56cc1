#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner evict, pin and unpin, where nobody mounts. With a mount and a real server: tests/s3/test-cache.sh.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys AKIATEST a/secret+of=tests

serve

# places NUMBER: so many chunks have a place here.
places() {
	local got
	got=$(sqlite3 'file:lib/garner.db?mode=ro' 'SELECT count(DISTINCT chunk) FROM place')
	[ "$got" = "$1" ] || fail "chunks here: $got, wanted $1"
}

whole() {
	rm -rf back
	gives 0 '*' '' export lib / back
	diff -r source back/source >/dev/null || fail "$1: the content is not what it was"
}

gives 0 'Made*' '' init plain
gives 8 '*' '*no bucket*' evict plain /
gives 3 '*' '*nothing*' evict plain nothing
gives 2 '' '*PATH*' evict plain

gives 0 'Made*' '' init lib --chunker fixed --chunk-avg 64K --s3 s3://bucket/lib --endpoint "$endpoint"
mkdir -p source/folder
head -c 1000000 /dev/urandom >source/large
head -c 1000000 /dev/urandom >source/folder/pinned
cp source/folder/pinned source/folder/same
echo small >source/folder/small
gives 0 '*' '' import lib source
all=$(sqlite3 'file:lib/garner.db?mode=ro' 'SELECT count(*) FROM chunk')

# Nothing goes before it is in the bucket, and nobody is told otherwise.
gives 1 'evicted 0 contents*' '*not in the bucket yet*' evict lib /
places "$all"
gives 0 '' '' push --wait lib

gives 0 '' '' pin lib
gives 3 '' '*not in the library*' pin lib /source/none
gives 0 '' '' pin lib /source/folder
gives 0 '' '' pin lib /source/folder
gives 0 '/source/folder' '' pin lib
json '.[0].path == "/source/folder" and (.[0].since | length > 0)' pin --json lib
gives 1 '' '*a folder above it is pinned*' unpin lib /source/folder/pinned
gives 1 '' '*is not pinned*' unpin lib /source/large

# The pinned folder stays, the rest goes but for its ends.
gives 1 'evicted 1 content,*' '*1 pinned*' evict lib /
gives 0 'evicted 0 contents*' '*stays here: 1 no larger than*' evict lib /source/folder/small
json '.small == 1 and .evicted == 0' evict --json lib /source/folder/small
places $((all - 16))
[ "$(sqlite3 'file:lib/garner.db?mode=ro' 'SELECT sum(length) FROM edge')" -eq 131072 ] || fail "edges"
gives 0 '*' '' fsck --deep lib
whole "fetched again"

# Edges are looked at too, and are no loss.
edge=$(sqlite3 lib/garner.db "SELECT printf('lib/blobs/%02x/%016x', blob >> 8 & 255, blob) || ' ' || off FROM edge LIMIT 1")
gives 0 '*' '' fsck --deep lib
printf '\001\002\003\004\005\006\007\010' | dd of="${edge% *}" bs=1 seek="${edge#* }" conv=notrunc 2>/dev/null
rm -rf back
gives 0 '*' '*end of an object*is damaged*' export lib / back
diff -r source back/source >/dev/null || fail "a damaged edge is shown"
gives 4 '*its edge at*not what was left*' '*' fsck --deep lib
gives 1 '*its edge at*' '*' fsck --deep --repair lib
gives 0 '*' '' fsck --deep lib
whole "without an edge"

# A bucket that does not answer, and one that has lost what it had: nothing goes.
gives 0 '' '' unpin lib /source/folder
tell fail 403 AccessDenied GET
gives 1 'evicted 0 contents*' '*does not answer*' evict lib /source/folder/pinned
tell heal
chunk=$(sqlite3 'file:lib/garner.db?mode=ro' "SELECT lower(hex(c.hash)) FROM chunk c JOIN object_chunk oc ON oc.chunk = c.id
	JOIN node n ON n.object = oc.object JOIN entry e ON e.ino = n.ino WHERE e.name = CAST('pinned' AS BLOB) AND oc.idx = 3")
"$s3tool" delete "$endpoint" s3://bucket/lib "chunks/$chunk" || fail "the chunk is not deleted"
"$GARNER" evict --json lib /source/folder/pinned >out.json 2>err && fail "a lost chunk is no failure"
jq -e '.lost == 1 and .evicted == 1 and .unanswered == 0' out.json >/dev/null || fail "a lost chunk: $(cat out.json)"
places $((all - 31))
gives 0 '' '' push --wait lib
"$s3tool" keys "$endpoint" s3://bucket/lib | grep -q "$chunk" || fail "the lost chunk is not sent again"
gives 0 'evicted 1 content,*' '' evict lib /source/folder/pinned /source/folder/same
whole "all of it"

# A pin goes with its asset.
gives 0 '' '' pin lib /source/large
gives 0 '' '' rm lib /source/large
gives 0 '' '' pin lib
gives 0 '*' '' purge --all lib
gives 0 '*' '' gc --grace 0 lib
[ "$(sqlite3 'file:lib/garner.db?mode=ro' 'SELECT count(*) FROM pin')" -eq 0 ] || fail "a pin of nothing"
gives 0 '*' '' fsck --deep lib
finish
