#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner import: whole trees, twice, into a mounted library, cut off at random, and moved; and garner export.
#
#   IMPORT_ROUNDS   kills in each of the crash tests (default 4)

. "$(dirname "$0")/lib.sh"
: "${IMPORT_ROUNDS:=4}"

src=$work/source

# The size of the blobs on the disk, in KiB.
store_size() {
	du -s "$lib/blobs" | cut -f1
}

# figure NAME: a number of the last JSON summary.
figure() {
	sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" "$work/summary"
}

import() {
	"$GARNER" import --json "$@" >"$work/summary"
}

# same TEXT SOURCE COPY: no difference at all, as rsync sees it.
same() {
	local found
	found=$(rsync -n -aHAXc --delete --specials --devices --itemize-changes "$2/" "$3/" 2>&1)
	[ -z "$found" ] || fail "$1: differs: $(head -5 <<<"$found")"
}

# One of everything.
make_tree() {
	local long
	long=$(printf 'n%.0s' $(seq 255))
	mkdir -p "$1/sub/deep/er" "$1/empty" "$1/readonly"
	echo one >"$1/one"
	: >"$1/nothing"
	head -c 3000000 /dev/urandom >"$1/sub/large"
	head -c 100000 /dev/urandom >"$1/sub/middle"
	truncate -s 30M "$1/sparse"
	echo data | dd of="$1/sparse" bs=1 seek=12345678 conv=notrunc status=none
	echo long >"$1/$long"
	echo odd >"$1/$(printf 'odd\377\n name')"
	ln "$1/one" "$1/sub/one-more"
	ln "$1/sub/large" "$1/empty-not"
	ln -s ../nowhere "$1/sub/link"
	mkfifo "$1/sub/pipe"
	ln "$1/sub/pipe" "$1/sub/pipe-more"
	[ "$(id -u)" -ne 0 ] || { mknod "$1/device" c 1 7 && chown 12:34 "$1/sub/deep" "$1/one" && chown -h 56:78 "$1/sub/link"; }
	setfattr -n user.note -v 'a value' "$1/one"
	setfattr -n user.note -v 'of a folder' "$1/sub"
	setfacl -m u:1234:rwx,g:77:r-x "$1/sub/middle"
	setfacl -d -m u:1234:rwx "$1/sub/deep"
	chmod 4751 "$1/nothing"
	chmod 0500 "$1/readonly"
	touch -d '1999-12-31 23:59:59.987654321' "$1/sub/middle" "$1/empty"
	touch -h -d '2030-01-02 03:04:05.000000001' "$1/sub/link"
	touch -d '2011-01-02 03:04:05.123456789' "$1/sub/deep" "$1/sub" "$1"
}

# COUNT small files and some large ones, with a list of their hashes by path.
make_many() {
	local i
	mkdir -p "$1"
	for i in $(seq "$2"); do
		mkdir -p "$1/$((i % 10))"
		head -c $((i * 37 % 5000)) /dev/urandom >"$1/$((i % 10))/file-$i"
	done
	for i in 1 2 3 4; do
		head -c $((i * 5000000)) /dev/urandom >"$1/large-$i"
	done
	(cd "$1" && find . -type f -exec sha256sum {} +) | sort -k2 >"$1.list"
}

# A tree deeper than any path may be long.
make_deep() {
	python3 - "$1" <<'PYTHON'
import os, sys
os.mkdir(sys.argv[1])
at = os.open(sys.argv[1], os.O_RDONLY)
for i in range(60):
    name = "d" * 200
    os.mkdir(name, dir_fd=at)
    at = os.open(name, os.O_RDONLY, dir_fd=at)
    with os.fdopen(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=at), "w") as f:
        f.write(str(i))
PYTHON
}

test_tree() {
	local before
	make_tree "$src"
	check "import" import "$lib" "$src"
	check_is "assets" 7 "$(figure added)"
	check_is "links" 3 "$(figure linked)"
	before=$(store_size)
	check "import again" import "$lib" "$src"
	check_is "added by importing twice" 0 "$(figure added)"
	check_is "changed by importing twice" 0 "$(figure changed)"
	check_is "store after importing twice" "$before" "$(store_size)"
	check "the same under another name" import --into /other/place "$lib" "$src"
	check_is "stored by content that is held" 0 "$(figure stored_bytes)"
	mount_library
	same "imported" "$src" "$mnt/source"
	same "imported into a folder" "$src" "$mnt/other/place/source"
}

test_mounted() {
	local inode
	cp -a "$src" "$work/second"
	check "import into a mounted library" import "$lib" "$work/second"
	same "imported while mounted" "$work/second" "$mnt/second"
	inode=$(stat -c %i "$mnt/second/sub/middle")
	echo more >>"$work/second/sub/middle"
	rm "$work/second/nothing" "$work/second/sub/link"
	ln -s target "$work/second/nothing"
	echo file >"$work/second/sub/link"
	chmod 0600 "$work/second/one"
	check "import of changes" import "$lib" "$work/second"
	same "changes" "$work/second" "$mnt/second"
	check_is "the asset is the same" "$inode" "$(stat -c %i "$mnt/second/sub/middle")"
	"$GARNER" history "$lib" /second/sub/middle | grep -q . || fail "no history"
	exec 7>>"$mnt/second/sub/large"
	echo open >&7
	touch "$work/second/sub/large"
	check_exit "an asset that is open for writing" 1 import "$lib" "$work/second"
	grep -q 'in use' "$work/stderr" || fail "not told: $(cat "$work/stderr")"
	exec 7>&-
}

test_insert() {
	noise 96 film >"$work/film"
	check "a large file" import "$lib" "$work/film"
	(noise 1 front && cat "$work/film") >"$work/longer"
	check "1 MiB in front of it" import "$lib" "$work/longer"
	[ "$(figure stored_bytes)" -le $((16 << 20)) ] || fail "1 MiB in front cost $(figure stored_bytes) bytes"
	check "the longer one" cmp "$work/longer" "$mnt/longer"
	rm "$work/film" "$work/longer"
}

test_odd_sources() {
	make_deep "$work/deeper"
	check "a tree deeper than PATH_MAX" import "$lib" "$work/deeper"
	check_is "files of the deep tree" 60 "$(figure added)"
	mkdir "$work/around"
	ln -s "$work/deeper" "$work/around/link"
	mv "$lib" "$work/around/library"
	ln -s around/library "$lib"
	check "a tree that holds the library" import "$lib" "$work/around" 2>"$work/stderr"
	check_is "what was left out" 1 "$(figure skipped)"
	grep -q 'library itself' "$work/stderr" || fail "not told: $(cat "$work/stderr")"
	rm "$lib"
	mv "$work/around/library" "$lib"
	check_exit "the mount itself" 0 import "$lib" "$mnt"
	check_is "the mount was left out" 1 "$(figure skipped)"
	check_exit "a source that is not there" 1 import "$lib" "$work/missing"
	check_exit "a folder that is an asset" 3 import --into /second/one "$lib" "$work/around"
	check "dry run" import --dry-run --into /new/one "$lib" "$src"
	check_is "a dry run counts" 7 "$(figure added)"
	check_not "a dry run made a folder" test -e "$mnt/new"
	check "contents of a folder" import --into /contents "$lib" "$src/."
	same "contents of a folder" "$src" "$mnt/contents"
}

# Kills the import after SECONDS (a fraction), or lets it end.
import_killed() {
	local seconds=$1 pid
	shift
	"$GARNER" import "$@" >/dev/null 2>&1 &
	pid=$!
	sleep "$seconds"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

random_moment() {
	printf '0.%03d' $((RANDOM % ${1:-400} + 10))
}

test_killed() {
	local i
	make_many "$work/many" 2000
	for i in $(seq "$IMPORT_ROUNDS"); do
		import_killed "$(random_moment)" "$lib" "$work/many"
	done
	check "import after kills" import "$lib" "$work/many"
	same "after kills" "$work/many" "$mnt/many"
	check "import after that" import "$lib" "$work/many"
	check_is "nothing is left to do" 0 "$(($(figure added) + $(figure changed) + $(figure folders)))"
}

test_interrupted() {
	local pid
	"$GARNER" import --into /interrupted "$lib" "$work/many" >"$work/out" 2>"$work/stderr" &
	pid=$!
	sleep 0.05
	kill -INT "$pid"
	wait "$pid"
	[ $? -le 1 ] || fail "import was killed by SIGINT"
	check "goes on" import --into /interrupted "$lib" "$work/many"
	same "interrupted" "$work/many" "$mnt/interrupted/many"
}

# Each file is in the source or in the library, with its bytes.
all_somewhere() {
	local sum path bad=0
	while read -r sum path; do
		if [ -e "$1/$path" ]; then
			[ "$(sha256sum <"$1/$path" | cut -d' ' -f1)" = "$sum" ] || { bad=1; fail "source $path was changed"; }
		elif [ "$(sha256sum <"$2/$path" | cut -d' ' -f1)" != "$sum" ]; then
			bad=1
			fail "$path is lost"
		fi
	done <"$1.list"
	return $bad
}

test_move() {
	local inode i
	make_many "$work/goes" 300
	cp -a "$work/goes" "$work/goes-kept"
	exec 8>>"$work/goes/large-1"
	inode=$(stat -c %i "$work/goes/large-2")
	check_exit "a file that is being written" 1 import --move "$lib" "$work/goes"
	exec 8>&-
	check "the file that is being written stays" test -e "$work/goes/large-1"
	check_not "what is moved goes" test -e "$work/goes/large-2"
	[ "$(stat -c %d "$work")" != "$(stat -c %d "$lib")" ] ||
		[ -n "$(find "$lib/blobs" -inum "$inode" -perm 0600 -links 1)" ] || fail "large-2 did not become a blob"
	check "move the rest" import --move "$lib" "$work/goes"
	check_not "the folder is left" test -e "$work/goes"
	same "moved" "$work/goes-kept" "$mnt/goes"
	for i in $(seq "$IMPORT_ROUNDS"); do
		cp -a "$work/goes-kept" "$work/round"
		cp "$work/goes.list" "$work/round.list"
		head -c 20000000 /dev/urandom >"$work/round/new-$i"
		echo "$(sha256sum <"$work/round/new-$i" | cut -d' ' -f1)  ./new-$i" >>"$work/round.list"
		import_killed "$(random_moment 200)" --move --into "/killed-$i" "$lib" "$work/round"
		within 5 test -d "$mnt/killed-$i" || mkdir "$mnt/killed-$i"
		all_somewhere "$work/round" "$mnt/killed-$i/round"
		[ ! -e "$work/round" ] || check "move after a kill" import --move --into "/killed-$i" "$lib" "$work/round"
		check_not "the folder is left after a kill" test -e "$work/round"
		all_somewhere "$work/round" "$mnt/killed-$i/round"
	done
}

# A move that was cut off between the rows and the source's name: it can be told, and repeated.
test_move_cut_off() {
	local blob inode
	mkdir "$work/cut"
	head -c 3M /dev/urandom >"$work/cut/file"
	cp -p "$work/cut/file" "$work/cut-kept"
	inode=$(stat -c %i "$work/cut/file")
	check "import --move" "$GARNER" import --move --into /cut "$lib" "$work/cut" >/dev/null
	blob=$(find "$lib/blobs" -type f -inum "$inode")
	check "the moved file is a blob" cmp "$blob" "$work/cut-kept"
	mkdir "$work/cut"
	ln "$blob" "$work/cut/file"
	touch -r "$work/cut-kept" "$work/cut/file"
	check_exit "fsck of a blob with another name" 4 fsck_to_stderr
	check "it says so" grep -q "has another name outside of the library" "$work/stderr"
	check "the move again" "$GARNER" import --move --into /cut "$lib" "$work/cut" >/dev/null
	check_not "the source is gone" test -e "$work/cut"
	check_library
}

fsck_to_stderr() {
	"$GARNER" fsck "$lib" >&2
}

# The source cannot be removed: the library must not go on sharing the file with it.
test_move_refused() {
	mkdir "$work/stuck"
	head -c 9000000 /dev/urandom >"$work/stuck/file"
	cp "$work/stuck/file" "$work/stuck-kept"
	chattr +i "$work/stuck" || { fail "no immutable folders here"; return; }
	check_exit "a source that cannot be removed" 1 import --move "$lib" "$work/stuck"
	chattr -i "$work/stuck"
	check_is "names of the source" 1 "$(stat -c %h "$work/stuck/file")"
	echo more >>"$work/stuck/file"
	check "it was taken in" cmp "$work/stuck-kept" "$mnt/stuck/file"
	check "fsck" "$GARNER" fsck --deep "$lib" >/dev/null
}

test_move_elsewhere() {
	mkdir "$work/disk"
	small_disk 128 "$work/disk" || { fail "no loop device"; return; }
	cp -a "$src" "$work/disk/tree"
	check "move from another filesystem" import --move --into /elsewhere "$lib" "$work/disk/tree"
	check_not "the source is left" test -e "$work/disk/tree"
	same "moved from another filesystem" "$src" "$mnt/elsewhere/tree"
}

test_reflink() {
	local before after
	mkdir "$work/xfs"
	small_disk 600 "$work/xfs" xfs || { fail "no XFS on a loop device"; return; }
	"$GARNER" init "$work/xfs/library" >/dev/null
	head -c 100M /dev/urandom >"$work/xfs/film"
	sync -f "$work/xfs"
	before=$(df --output=used "$work/xfs" | tail -1)
	check "import on XFS" import "$work/xfs/library" "$work/xfs/film"
	sync -f "$work/xfs"
	after=$(df --output=used "$work/xfs" | tail -1)
	[ $((after - before)) -lt 20000 ] || fail "a file that can be cloned cost $((after - before)) KiB"
	"$GARNER" export "$work/xfs/library" /film - | cmp - "$work/xfs/film" || fail "the clone differs"
	"$GARNER" fsck --deep "$work/xfs/library" >/dev/null || fail "fsck on XFS"
}

test_export() {
	local blob
	mkdir "$work/exported"
	echo fresh | tee "$src/fresh" >"$mnt/source/fresh"
	touch -r "$mnt/source/fresh" "$src/fresh"
	touch -r "$src" "$mnt/source"
	check "export" "$GARNER" export "$lib" /source /deeper "$work/exported" >/dev/null
	same "exported" "$src" "$work/exported/source"
	check_is "files of the deep tree" 60 "$(find "$work/exported/deeper" -type f | wc -l)"
	rm "$work/exported/source/sub/one-more" "$work/exported/source/sub/pipe"
	echo other >"$work/exported/source/fresh"
	"$GARNER" export --json "$lib" /source "$work/exported" >"$work/summary" || fail "export again"
	[ "$(figure assets)" -le 2 ] || fail "exported again: $(figure assets) assets"
	same "exported again" "$src" "$work/exported/source"
	"$GARNER" export "$lib" /source/sparse - | cmp - "$src/sparse" || fail "export to standard output"

	"$GARNER" init "$work/bad" >/dev/null
	check "import" import "$work/bad" "$src/sub/large" "$src/one"
	blob=$(find "$work/bad/blobs" -type f -size +2M)
	dd if=/dev/urandom of="$blob" bs=1000 count=1 seek=1000 conv=notrunc status=none
	check_exit "export of damaged content" 1 "$GARNER" export "$work/bad" / "$work/exported/bad" >/dev/null
	check_is "what is left of it" "$(printf 'one')" "$(ls "$work/exported/bad")"
}

make_library
test_tree
test_mounted
test_insert
test_odd_sources
test_killed
test_interrupted
test_move
test_move_cut_off
test_move_refused
test_move_elsewhere
test_reflink
test_export
remount_library
same "after a remount" "$src" "$mnt/source"
unmount_library
check_library --deep
exit $((failures > 0))
