#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A mounted library whose content is in Swift alone: it is read by the chunk, kept, edited, copied and pulled; garner and an attribute tell where it
# is; who waits for a bucket that does not answer can be interrupted, and keeps nobody from unmounting.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
top_srcdir=$(realpath "${top_srcdir:-.}")
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys test:tester testing

# There is no copy of any chunk here any more.
forget() {
	unmount_library
	sqlite3 "$lib/garner.db" 'DELETE FROM place; DELETE FROM blob WHERE kind IN (2, 3, 4); UPDATE object SET used_ns = 0' ||
		fail "sqlite3"
	find "$lib/blobs" -type f -size +0 -delete
	mount_library
}

# state WORD FILE: where its content is, by each who tells.
state() {
	local got
	got=$("$GARNER" stat --json "$lib" "$2" | jq -r '.[0].held')
	[ "$got" = "$1" ] || fail "$2: garner stat says $got, wanted $1"
	got=$(getfattr --absolute-names --only-values -n user.garner.state "$mnt/$2" 2>&1)
	[ "$got" = "$1" ] || fail "$2: the attribute says $got, wanted $1"
	[[ $("$GARNER" ls -l "$lib" "$2") == *" $1 "* ]] || fail "$2: garner ls does not say $1"
}

nothing_comes() {
	"$GARNER" status --json "$lib" | jq -e '.mount.fetching.running == 0' >/dev/null
}

# Bytes that came from the bucket so far, in $down, once no more come: what is fetched ahead goes on for a while.
count_down() {
	local before=-1
	down=0
	within 60 nothing_comes || fail "chunks come without end"
	while [ "$down" != "$before" ]; do
		before=$down
		sleep 0.3
		proxy_does counts >counts
		down=$(grep -oP '(?<=down )\d+' counts)
	done
}

# gets LEAST MOST COMMAND…: so many bytes come from the bucket by it.
gets() {
	local least=$1 most=$2 before
	shift 2
	count_down
	before=$down
	"$@" >/dev/null || fail "$*"
	count_down
	[ $((down - before)) -ge "$least" ] && [ $((down - before)) -le "$most" ] ||
		fail "$*: $((down - before)) bytes were fetched, wanted $least to $most"
}

sealed() {
	"$GARNER" stat --json "$lib" "$1" | jq -e '.[0].content == "sealed"' >/dev/null
}

swift "$work/swift"
proxy "${endpoint##*:}"
"$s3tool" bucket "http://$endpoint" s3://lib || fail "no bucket can be made"
make_library --s3 s3://lib/here --endpoint "http://$proxied"
sed -i '/^\[s3\]/a read-timeout = 300s' "$lib/config"
mount_library

mkdir "$mnt/dir" files
noise 24 big >files/big
noise 9 edited >files/edited
noise 6 copied >files/copied
for i in 1 2 3 4 5; do noise 1 "small$i" | head -c $((i * 3000)) >"files/small$i"; done
cp files/* "$mnt/dir"
mkdir "$mnt/empty"
: >"$mnt/empty/file"
"$GARNER" push --wait "$lib" || fail "garner push"
state local dir/big
state local empty/file

# Who reads a little fetches one chunk, and no more when he comes again.
forget
state remote dir/big
state remote dir/small1
state local empty/file
gets 65536 8400000 dd if="$mnt/dir/big" bs=64k count=1 status=none
gets 0 65535 dd if="$mnt/dir/big" bs=64k count=1 status=none
json '.mount.fetching | .chunks == 1 and .bytes >= 65536 and .failed == 0 and .running == 0 and .error == null' status --json "$lib"
cmp files/big "$mnt/dir/big" || fail "big differs"
for f in small1 small2 small3 small4 small5; do
	cmp "files/$f" "$mnt/dir/$f" || fail "$f differs"
done
within 60 "$GARNER" pull "$lib" dir/big || fail "garner pull of what is here"
state local dir/big
check_library --deep
gets 0 65535 cat "$mnt/dir/big"

# Nobody copies the attribute, and nobody sets it.
[ -z "$(getfattr -d "$mnt/dir/big" 2>/dev/null)" ] || fail "the attribute is listed"
check_not "the attribute can be set" quietly setfattr -n user.garner.state -v local "$mnt/dir/big"
check_not "the attribute can be removed" quietly setfattr -x user.garner.state "$mnt/dir/big"
check_not "a folder has the attribute" quietly getfattr -n user.garner.state "$mnt/dir"
check "cp -a" cp -a "$mnt/dir/small1" "$work/small1"

# What does not come is told of until something does.
forget
proxy_does fail 403 AccessDenied GET
check_not "a read that is refused" quietly cat "$mnt/dir/small1"
json '.mount.fetching | .failed >= 1 and .chunks == 0 and .error != null and .error_at != null' status --json "$lib"
gives 0 '*the last chunk did not come: *' '' status "$lib"
proxy_does pass
within 60 quietly cmp files/small1 "$mnt/dir/small1" || fail "small1 is not read again"
json '.mount.fetching | .failed >= 1 and .chunks == 1 and .error == null' status --json "$lib"

# An edit of what is not here costs what it touches; a copy costs nothing.
forget
printf 'here' | dd of="$mnt/dir/edited" bs=1 seek=5000000 conv=notrunc status=none || fail "edit"
printf 'here' | dd of=files/edited bs=1 seek=5000000 conv=notrunc status=none
state dirty dir/edited
check "garner push" "$GARNER" push --wait "$lib"
gets 0 65535 "$GARNER" cp "$lib" dir/copied dir/again
check "cp in the mount" cp "$mnt/dir/copied" "$mnt/dir/third"
cmp files/edited "$mnt/dir/edited" || fail "edited differs"
cmp files/copied "$mnt/dir/third" || fail "the copy in the mount differs"
check "garner push" "$GARNER" push --wait "$lib"

# All of a folder, through the mount and without one.
forget
json '.failed == [] and .files == 10 and .bytes > 35000000' pull --json "$lib" dir
for f in big edited copied small1 small5; do state local "dir/$f"; done
gets 0 65535 cat "$mnt"/dir/*
(cd files && sha256sum -- *) >list
(cd "$mnt/dir" && sha256sum --status -c "$work/list") || fail "what was pulled differs"
forget
unmount_library
json '.failed == [] and .files == 10' pull --json "$lib" /
"$GARNER" export "$lib" dir/big big || fail "garner export"
cmp files/big big || fail "what was exported differs"
check_library --deep

# When something was used is known to who makes room.
used() {
	sqlite3 "$lib/garner.db" "SELECT COUNT(*) FROM object WHERE used_ns > 1"
}
[ "$(used)" -gt 5 ] || fail "of $(used) objects it is known when they were fetched"
sqlite3 "$lib/garner.db" 'UPDATE object SET used_ns = 1'
mount_library
cat "$mnt/dir/small1" "$mnt/dir/big" >/dev/null
unmount_library
check_is "objects of which it is known when they were read" 2 "$(used)"
gives 3 '*' '*nope: not in the library*' pull "$lib" nope

# What is in the bucket alone can be exported without a mount, by a process that only reads.
mount_library
forget
unmount_library
"$GARNER" export "$lib" dir/copied copied || fail "garner export from the bucket"
cmp files/copied copied || fail "what was exported from the bucket differs"

# A program with a timer reads as any other: only who dies of a signal is let go.
reads_with_timer() {
	python3 -c 'import signal, sys
signal.signal(signal.SIGALRM, lambda *args: None)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
content = open(sys.argv[1], "rb").read()
signal.setitimer(signal.ITIMER_REAL, 0) # what is written to a pipe is cut short by signals, too
sys.stdout.buffer.write(content)' "$1"
}
mount_library
forget
proxy_does slow 4000000
reads_with_timer "$mnt/dir/copied" | cmp - files/copied || fail "a program with a timer cannot read"
proxy_does pass
unmount_library

# Nobody answers: who waits can be interrupted, others go on, and unmounting takes no time.
mount_library
forget
proxy_does blackhole
cat "$mnt/dir/big" >/dev/null 2>&1 &
reader=$!
timeout -s INT 1 cat "$mnt/dir/copied" >/dev/null 2>&1
[ $? -eq 124 ] || fail "who waits cannot be interrupted"
SECONDS=0
reads_with_timer "$mnt/dir/third" >/dev/null 2>&1 &
sleep 0.5
kill $!
wait $!
[ $SECONDS -lt 60 ] || fail "who has a timer and waits cannot be ended ($SECONDS s)"
check "ls" timeout 60 ls -lR "$mnt" >/dev/null
check "writing" timeout 60 cp files/small1 "$mnt/new"
check "reading what is here" timeout 60 cmp files/small1 "$mnt/new"
# An edit that cannot be sealed without the bucket is kept, and does not hold up what can.
timeout 60 dd if=files/big of="$mnt/dir/edited" bs=4k count=1 conv=notrunc status=none || fail "edit without the bucket"
cp files/small2 "$mnt/later"
within 60 sealed later || fail "one draft that waits holds up another"
kill -0 $reader 2>/dev/null || fail "the reader did not wait"
SECONDS=0
kill "$(daemon_pids)"
# A transfer that stands still is given up after 30 s.
within 25 no_daemon || fail "the daemon waits for the bucket"
wait $reader && fail "the reader got something"
umount -l "$mnt" 2>/dev/null
proxy_does pass
mount_library
within 60 cmp files/copied "$mnt/dir/copied" || fail "it is not read when the bucket is back"
dd if=files/big of=files/edited bs=4k count=1 conv=notrunc status=none
cmp files/edited "$mnt/dir/edited" || fail "what was edited without the bucket differs"
check "garner sync" timeout 120 "$GARNER" sync "$lib"
cmp files/edited "$mnt/dir/edited" || fail "what was edited without the bucket differs when it is sealed"
unmount_library
check_library
finish
