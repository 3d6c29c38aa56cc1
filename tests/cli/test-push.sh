#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner push, where nobody mounts: what it sends, what it says of a bucket that goes wrong, pausing. With a mount and a real server: tests/s3/test-push.sh.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys AKIATEST a/secret+of=tests

serve

keys() {
	"$s3tool" keys "$endpoint" s3://bucket/lib | grep -oE '(chunks|manifests)/.*' | LC_ALL=C sort
}

# waiting CHUNKS OBJECTS: so many are not in the bucket.
waiting() {
	json ".uploads.chunks == $1 and .uploads.objects == $2" status --json lib
}

gives 0 'Made*' '' init plain
# (Who needs one says so in the same words.)
for c in 'push plain' 'evict plain /' 'backup plain' 'export --to-bucket key plain /file'; do
	echo >file
	[ "${c%% *}" != export ] || gives 0 '*' '' import plain file
	# shellcheck disable=SC2086
	gives 8 '*' 'garner * plain: the library has no bucket; *' $c
done
json '.uploads == null' status --json plain
gives 2 '' '*exclude*' push --wait --pause plain
gives 2 '' "*'soon' is no time*" push --timeout soon plain

gives 0 'Made*' '' init lib --chunker fixed --chunk-avg 64K --s3 s3://bucket/lib --endpoint "$endpoint"
gives 0 '' '' push --wait lib
mkdir source
head -c 300000 /dev/urandom >source/large
cp source/large source/same
for i in 1 2 3; do echo "file $i" >source/small$i; done
: >source/empty
gives 0 '*' '' import lib source
waiting 8 4
gives 0 '*uploads: *8 chunks of * of 4 contents wait*' '' status lib

# Paused, nothing is sent, and who waits is told.
gives 0 '' '' push --pause lib
gives 1 '' '*paused*--resume*' push --wait lib
gives 0 '*uploads: *paused*' '' status lib
[ -z "$(keys)" ] || fail "a paused queue sends"
gives 0 '' '' push --resume lib

# A bucket that goes wrong is told of once, and waited for.
tell fail 403 AccessDenied PUT
gives 1 '' '*403 AccessDenied*' push lib
soon gives 1 '' '*403 AccessDenied*not everything*' push --wait --timeout 2s lib
tell heal
waiting 8 4

gives 0 '' '' push --wait lib
waiting 0 0
keys >there
[ "$(grep -c '^chunks/' there)" -eq 8 ] || fail "chunks: $(cat there)"
[ "$(grep -c '^manifests/' there)" -eq 4 ] || fail "manifests: $(cat there)"
head -c 65536 source/large | sha256sum | cut -d' ' -f1 | sed 's|^|chunks/|' | grep -qxFf - there || fail "no first chunk"

# A damaged chunk is never sent, and named.
echo 'to be damaged' >source/victim
gives 0 '*' '' import lib source/victim --into /more
blob=$(sqlite3 lib/garner.db "SELECT printf('lib/blobs/%02x/%016x', p.blob >> 8 & 255, p.blob) || ' ' || p.start
	FROM place p JOIN chunk c ON c.id = p.chunk WHERE c.remote = 0")
printf 'T' | dd of="${blob% *}" bs=1 seek="${blob#* }" conv=notrunc 2>/dev/null
gives 1 '' '*is not uploaded*1 chunk cannot be uploaded: its bytes on this machine are damaged*' push --wait lib
gives 0 '*trouble: *damaged*' '' status lib
[ "$(keys | wc -l)" -eq 12 ] || fail "a damaged chunk is sent"
printf 't' | dd of="${blob% *}" bs=1 seek="${blob#* }" conv=notrunc 2>/dev/null
gives 0 '' '' push --wait lib
waiting 0 0

# A limit is kept, about; the first buffers go at once.
gives 0 'Made*' '' init slow --chunker fixed --chunk-avg 64K --s3 s3://bucket/slow --endpoint "$endpoint"
printf '\n[s3]\nupload-limit = 100K\nupload-order = smallest\n' >>slow/config
gives 0 '*' '' import slow source/large
before=$(date +%s%N)
gives 0 '' '' push --wait slow
took=$((($(date +%s%N) - before) / 1000000))
[ $took -ge 1500 ] || fail "300 kB at 100 KiB/s took $took ms"
sed -i 's/smallest/largest/' slow/config
gives 1 '' '*upload-order*neither oldest nor smallest*' push slow

# A library that gets its bucket later; and what is there is not sent again.
gives 0 '*' '' import plain source
# (It is another library's place in the bucket: for its chunks that does not matter, a backup would be refused.)
{ echo '[s3]'; grep -E '^(url|endpoint)' lib/config; echo 'backup = off'; } >>plain/config
gives 0 '' '' push --wait plain
json '.uploads.chunks == 0 and .uploads.objects == 0' status --json plain
finish
