#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner pull, ls and stat of what is in the bucket alone, where nobody mounts. With a mount and a real server: tests/s3/test-fetch.sh.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys AKIATEST a/secret+of=tests

serve

forget() {
	sqlite3 lib/garner.db 'DELETE FROM place; DELETE FROM blob WHERE kind IN (2, 3, 4)'
	find lib/blobs -type f -delete
}

gives 0 'Made*' '' init plain
mkdir -p source/below
head -c 300000 /dev/urandom >source/large
head -c 2000 /dev/urandom >source/below/small
: >source/empty
gives 0 '*' '*' import plain source
json 'map(select(.kind == "asset") | .held) | unique == ["local"]' ls -R --json plain
gives 0 '' '' pull plain source
forget_plain() { sqlite3 plain/garner.db 'DELETE FROM place'; }
forget_plain
gives 1 '' '*source/large: Input/output error*' pull plain source/large

gives 0 'Made*' '' init lib --chunker fixed --chunk-avg 64K --s3 s3://bucket/lib --endpoint "$endpoint"
gives 0 '*' '*' import lib source
json '.[0].held == "uploading"' stat --json lib source/large
gives 0 '' '' push --wait lib
json '.[0].held == "local"' stat --json lib source/large
forget
json '[.[] | select(.kind == "asset") | .held] | sort == ["local", "remote", "remote"]' ls -R --json lib
gives 0 '*content:   sealed*held:      remote*' '' stat lib source/large
gives 0 '*' '' fsck lib
json '.files == 2 and .bytes == 302000 and .failed == []' pull --json lib source
json 'map(select(.kind == "asset") | .held) | unique == ["local"]' ls -R --json lib
json '.files == 0 and .bytes == 0' pull --json lib /
gives 0 '*' '' fsck --deep lib
mkdir exported
gives 0 "*" "*" export lib source exported
diff -r source exported/source || fail "what was pulled differs"

# What cannot be had is told of, and the rest comes.
forget
tell fault corrupt
gives 1 '' '*pull: source/large: Input/output error*' pull lib source/large
tell heal
tell fail 404 NoSuchKey GET
gives 1 '' '*source/below/small: *source/large: *' pull lib source
tell heal
gives 0 '' '' pull lib source
sqlite3 lib/garner.db 'DELETE FROM place WHERE chunk IN (SELECT chunk FROM object_chunk WHERE start = 65536)'
json '.[0].held == "partial"' stat --json lib source/large
gives 3 '' '*nope: not in the library*' pull lib nope
finish
