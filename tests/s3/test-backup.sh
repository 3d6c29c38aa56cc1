#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A library that is lost with its machine, and comes back from the bucket alone: its mount backs it up by itself within seconds, and every byte that was uploaded comes back. Kills in between, a
# bucket that is gone for a while, and two machines with one bucket.
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

# Assets as `find` shows them.
listing() {
	(cd "$1" && find . -printf '%P %y %m %s %T@ %l\n' | sort)
}

make_library --s3 s3://box/lib "$at"
mount_library
mkdir -p "$mnt/a/b"
for i in $(seq 20); do
	head -c $((i * 20000)) /dev/urandom >"$mnt/a/b/$i"
done
ln -s b/1 "$mnt/a/link"
setfattr -n user.tag -v green "$mnt/a/b/2"
seal_library
"$GARNER" push --wait "$lib" || fail "not all is in the bucket"

# Nobody asks for it, and it is there in seconds. (Nothing else is to be sent when the change comes, so that what is sent after it has it.)
gives 0 '*' '' backup "$lib"
changed=$(date -u +%FT%T.%NZ)
"$GARNER" mkdir "$lib" later
listing "$mnt" >before
(cd "$mnt" && find . -type f -exec sha256sum {} + | sort) >sums
# shellcheck disable=SC2317
current() {
	"$GARNER" status --json "$lib" | jq -e --arg when "$changed" '.mount.backup | .state == "current" and .at > $when' >/dev/null
}
within 120 current || fail "the mount does not back up: $("$GARNER" status "$lib")"

# The machine is lost: its daemon, then its disk.
kill_daemon
mv "$lib" "$work/lost"
gives 0 '*Recovered the library*20 assets*' '' recover s3://box/lib "$lib" "$at"
check_library --deep
mount_library
listing "$mnt" >after
diff before after || fail "the tree is not as it was"
(cd "$mnt" && sha256sum --quiet -c) <sums || fail "not every byte came back"
check_is "an attribute" green "$(getfattr --only-values -n user.tag "$mnt/a/b/2")"
check_is "the library's id" "$(sqlite3 "$work/lost/garner.db" "SELECT value FROM setting WHERE name = 'library_id'")" \
	"$(sqlite3 "$lib/garner.db" "SELECT value FROM setting WHERE name = 'library_id'")"
gives 0 'The bucket has the metadata*' '' backup "$lib"

# The machine before was not lost after all: it is told, and what is there stays.
gives 1 '' '*elsewhere*take-over*' backup "$work/lost"
json '.state == "current" and .epoch == 2' backup --json "$lib"
gives 0 'The bucket has the metadata*' '' backup --take-over "$work/lost"
gives 1 '' '*another machine*take-over*' backup "$lib"
json '.mount.backup.state == "refused" and (.mount.backup.error | length > 0)' status --json "$lib"
gives 0 'The bucket has the metadata*' '' backup --take-over "$lib"

# Content that was not uploaded, and what was not even sealed, is told of, and is no obstacle.
"$GARNER" push --pause "$lib" >/dev/null || fail "push --pause"
echo new >"$mnt/sealed"
seal_library
exec 7>"$mnt/open"
echo unsealed >&7
gives 0 '*' '' backup "$lib"
kill_daemon
exec 7>&-
json '.missing == 2 and .assets == 22 and (.assets_changed | map(.path) | sort) == ["/open", "/sealed"] and .chunks == .chunks_in_bucket + 1' \
	recover --json s3://box/lib third "$at"
mkdir full
touch full/file
gives 1 '' '*not empty*' recover s3://box/lib full "$at"
gives 1 '' '*there is a library already*' recover s3://box/lib third "$at"
gives 3 '' '*no backup*' recover s3://box/nothing fourth "$at"
gives 3 '' '*make the bucket first*' recover s3://nobox/lib fourth "$at"
AWS_SECRET_ACCESS_KEY=wrong gives 7 '' '*the secret key is not*' recover s3://box/lib fourth "$at"
[ ! -e fourth ] || fail "a recovery that cannot be leaves something behind"
gives 2 '' "*'box'*" recover box fifth

# kill -9 while it is recovered, until it comes through.
for i in $(seq 40); do
	(
		"$GARNER" recover s3://box/lib again "$at" &
		sleep "$(printf '0.%03d' $((i * 8)))"
		kill -KILL $!
		wait $!
	) &>/dev/null && break
done
[ -e again/garner.db ] || gives 0 '*Recovered*' '' recover s3://box/lib again "$at"
check_not "what is missing is not told by fsck" "$GARNER" fsck again >/dev/null

# A segment of the backup is cut short: an older state is brought back by who asks for it, and the backup goes on beside what is damaged.
segment=$("$s3tool" keys "http://$endpoint" s3://box/lib/meta | grep -oE '[0-9a-f]{8}/[0-9a-f]{12}-0{12}-0000-[0-9a-f]{4}$' | LC_ALL=C sort | tail -1)
"$s3tool" get "http://$endpoint" s3://box/lib/meta "$segment" >whole 2>/dev/null
echo "$segment 0 $(($(stat -c %s whole) / 2)) whole" | "$s3tool" put "http://$endpoint" s3://box/lib/meta ||
	fail "the segment cannot be cut short"
gives 4 '' "*$segment is damaged*as of 20*--older*" recover s3://box/lib old "$at"
[ ! -e old ] || fail "a recovery that was refused leaves something behind"
json '.older and (.damaged | length == 1)' recover --older --json s3://box/lib old "$at"
gives 0 'The bucket has the metadata*' '' backup old
json '.older == false' recover --json s3://box/lib new "$at"

# The bucket is gone: the mount is as it was, says so, unmounts at once, and what it missed is sent when the bucket is there again.
mount_library
stop_servers
# Once in three times the machine does not stand still meanwhile.
for i in 1 2 3; do
	[ $i -eq 1 ] || mount_library
	mkdir "$mnt/without$i"
	gives 1 '' '*' backup --timeout 3s "$lib"
	began=$SECONDS
	unmount_library
	took=$((SECONDS - began))
	[ $took -ge 8 ] || break
done
[ $took -lt 8 ] || fail "unmounting takes $took s without the bucket"
[ -d "$lib/blobs" ] || fail "the library"
finish
