#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner export --to-bucket: content of every shape is one object under its key, byte for byte; large chunks are copied by the server; of one that fails nothing is seen, and nothing
# is left behind.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "$top_srcdir/tests/cli/lib.sh" || exit 1
. "$top_srcdir/tests/s3/lib.sh" || exit 1
trap 'stop_servers; cleanup' EXIT
s3tool=$(realpath "$s3tool")
top_srcdir=$(realpath "$top_srcdir")
cd "$work" || exit 1
use_keys test:tester testing
swift "$work/swift"
at=--endpoint=http://$endpoint
"$s3tool" bucket "http://$endpoint" s3://box || fail "no bucket can be made"

# 6 MiB chunks: the server can copy each but the last; and small ones, of which it cannot copy any.
make_library --chunker fixed --chunk-avg 6M --s3 s3://box/lib "$at"
"$GARNER" init "$work/small" --chunker fixed --chunk-avg 1M --s3 s3://box/small "$at" >/dev/null || fail "init"
head -c 15M /dev/urandom >big
head -c 3000000 big >one
head -c 100 big >few
: >none
{ head -c 3M big; head -c 5M /dev/zero; tail -c 4M big; } >hole
cp --sparse=always hole hole2 && mv hole2 hole
for l in "$lib" "$work/small"; do
	gives 0 '*' '' import "$l" big one few none hole
	gives 0 '*' '' push --wait "$l"
done

# there PREFIX KEY FILE
there() {
	"$s3tool" get "http://$endpoint" "s3://box/$1/exports" "$2" >got 2>/dev/null && cmp -s got "$3" ||
		fail "$1: $2 is not $3 ($(wc -c <got) bytes)"
}
for f in big one few none hole; do
	gives 0 's3://box/lib/exports/*' '' export --to-bucket "a b/$f" "$lib" "/$f"
	there lib "a b/$f" "$f"
	gives 0 's3://box/small/exports/*' '' export --to-bucket "$f" "$work/small" "/$f"
	there small "$f" "$f"
done
# Of the three chunks two are large enough; by itself a chunk may be of any size.
json '.bytes == 15728640 and .copied_bytes == 12582912 and .parts == 3' export --json --to-bucket again "$lib" /big
json '.bytes == 100 and .copied_bytes == 100' export --json --to-bucket again "$lib" /few
there lib again few
json '.copied_bytes == 0 and .parts == 3' export --json --to-bucket again "$work/small" /big

# What the bucket was thought to have, and has not, is sent from here.
"$GARNER" init "$work/third" --chunker fixed --chunk-avg 6M --s3 s3://box/third "$at" >/dev/null || fail "init"
gives 0 '*' '' import "$work/third" big
sqlite3 "$work/third/garner.db" "UPDATE chunk SET remote = 1"
json '.copied_bytes == 0 and .parts == 3' export --json --to-bucket big "$work/third" big
there third big big

# Mistakes, and content that is damaged: what is there stays.
gives 3 '' '*not in the library*' export --to-bucket x "$lib" /nothing
gives 1 '' '*' export --to-bucket x "$lib" /
gives 2 '' '*' export --to-bucket x "$lib" one two
gives 2 '' '*no key*' export --to-bucket /x "$lib" one
gives 2 '' '*destination*' export "$lib" one
read -r blob start < <(sqlite3 -separator ' ' "$work/small/garner.db" "SELECT printf('%02x/%016x', p.blob >> 8 & 255, p.blob), p.start
	FROM node n JOIN object_chunk c ON c.object = n.object JOIN place p USING (chunk) WHERE n.size = 15728640 AND c.idx = 7")
printf 'damage' | dd of="$work/small/blobs/$blob" bs=1 seek=$((start + 10)) conv=notrunc 2>/dev/null
gives 4 '' '*' export --to-bucket big "$work/small" /big
there small big big
"$s3tool" keys "http://$endpoint" s3://box | grep -c exports/x && fail "something is left of what failed"
finish
