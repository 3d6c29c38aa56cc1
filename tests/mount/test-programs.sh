#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The programs that people use: git, rsync, tar, sqlite, editors, office suites, cp, and what seeks in large files; then the same bytes after sealing and a
# new mount. PROGRAMS_FILES (default 2000): files of the repository that is cloned.
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1

count=${PROGRAMS_FILES:-2000}
export HOME=$work GIT_CONFIG_NOSYSTEM=1

make_repository() {
	local i
	git init -q "$1"
	git -C "$1" config user.name tester
	git -C "$1" config user.email tester@example.org
	git -C "$1" config gc.auto 0 # else it may pack in the background what is being cloned
	for ((i = 0; i < count; i++)); do
		[ $((i % 50)) -eq 0 ] && mkdir -p "$1/d$((i / 50))/sub"
		echo "file $i $RANDOM" >"$1/d$((i / 50))/sub/f$i"
	done
	git -C "$1" add . && git -C "$1" commit -q -m all
}

try_git() {
	check "git clone" git clone -q "$work/repo" "$mnt/clone"
	git -C "$mnt/clone" config gc.auto 0
	check "git fsck" git -C "$mnt/clone" fsck --no-progress --no-dangling
	check_is "git status" "" "$(git -C "$mnt/clone" status --porcelain)"
	echo change >>"$mnt/clone/d0/sub/f0"
	git -C "$mnt/clone" -c user.name=t -c user.email=t@example.org commit -q -a -m change || fail "git commit"
	check "git gc" git -C "$mnt/clone" gc -q
	check "git fsck after gc" git -C "$mnt/clone" fsck --no-progress --no-dangling
}

# A tree with everything in it that rsync -aHAX keeps.
make_zoo() {
	mkdir -p "$1/folder/empty" "$1/sgid"
	head -c 3000000 /dev/urandom >"$1/big"
	echo one >"$1/one"
	ln "$1/one" "$1/folder/linked"
	ln -s ../one "$1/folder/symlink"
	ln -s "/no where" "$1/dangling"
	mkfifo "$1/fifo"
	truncate -s 50M "$1/sparse"
	echo end >>"$1/sparse"
	setfattr -n user.tag -v "red green" "$1/one"
	setfacl -m u:1234:rw,g:4321:r "$1/big"
	setfacl -d -m u:1234:rwx "$1/folder"
	chmod 2755 "$1/sgid"
	chmod 4711 "$1/big"
	touch -d '1999-12-31 23:59:59.123456789' "$1/one"
	: >"$1/$(printf 'bad \377\376 name')"
	: >"$1/$(printf '%0255d' 7)"
}

same_tree() {
	local difference
	difference=$(rsync -aHAXn --delete --itemize-changes -c "$1/" "$2/") || fail "rsync compares"
	[ -z "$difference" ] || fail "$3: $difference"
}

try_copies() {
	check "rsync there" rsync -aHAX "$work/zoo/" "$mnt/zoo/"
	same_tree "$work/zoo" "$mnt/zoo" "rsync -aHAX"
	check "tar there" sh -c "tar -C '$work' --xattrs --acls -cf - zoo | tar -C '$mnt' --xattrs --acls --transform s/zoo/tarred/ -xpf -"
	same_tree "$work/zoo" "$mnt/tarred" "tar"
	check "cp -a there" cp -a --reflink=auto "$mnt/zoo" "$mnt/copied"
	same_tree "$work/zoo" "$mnt/copied" "cp -a"
	check "rsync back" rsync -aHAX "$mnt/zoo/" "$work/back/"
	same_tree "$work/zoo" "$work/back" "rsync back"
}

try_sqlite() {
	local i
	for i in 1 2 3; do
		sqlite3 "$mnt/base.db" "PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS t (a, b);
			WITH RECURSIVE c (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 3000)
			INSERT INTO t SELECT x, hex(randomblob(50)) FROM c; DELETE FROM t WHERE a % 3 = 0;" >/dev/null || fail "sqlite"
	done
	check_is "sqlite integrity" ok "$(sqlite3 "$mnt/base.db" 'PRAGMA integrity_check')"
	check_is "sqlite rows" 6000 "$(sqlite3 "$mnt/base.db" 'SELECT count(*) FROM t')"
}

id_of() {
	"$GARNER" stat --json "$lib" "$1" | jq -r '.[0].id'
}

# The ways in which programs save: the asset keeps its id and gains a version.
try_saves() {
	local id old
	mkdir "$mnt/save"
	for way in over aside write; do
		echo "first of $way" >"$mnt/save/$way.txt"
	done
	seal_library
	id=$(id_of /save/over.txt) # most editors: a fresh file renamed over the old one
	echo second >"$mnt/save/.over.swp" && mv "$mnt/save/.over.swp" "$mnt/save/over.txt"
	seal_library
	check_is "id after a rename over" "$id" "$(id_of /save/over.txt)"
	check_is "content" second "$(cat "$mnt/save/over.txt")"
	id=$(id_of /save/aside.txt) # office suites: the old one to a backup, the fresh one to its name, the backup goes
	echo second >"$mnt/save/lu1.tmp"
	mv "$mnt/save/aside.txt" "$mnt/save/aside.bak"
	mv "$mnt/save/lu1.tmp" "$mnt/save/aside.txt"
	rm "$mnt/save/aside.bak"
	seal_library
	check_is "id after an office save" "$id" "$(id_of /save/aside.txt)"
	id=$(id_of /save/write.txt) # in place
	echo second >"$mnt/save/write.txt"
	seal_library
	check_is "id after a write in place" "$id" "$(id_of /save/write.txt)"
	for way in over aside write; do
		old=$("$GARNER" history --json "$lib" "/save/$way.txt" | jq '.versions | length')
		[ "$old" -ge 2 ] || fail "save by $way: $old versions, wanted 2"
	done
}

# 4 GiB, mostly holes, with a frame at each of many places.
try_seeking() {
	python3 - "$mnt/video" <<-'END' || fail "a program that seeks"
		import os, random, sys
		size, frame = 4 << 30, 65536
		random.seed(5)
		places = random.sample(range(size // frame), 40)
		with open(sys.argv[1], "wb") as f:
		    f.truncate(size)
		    for p in places:
		        f.seek(p * frame); f.write(bytes([p % 251]) * frame)
		with open(sys.argv[1], "rb") as f:
		    for p in sorted(places, key=lambda x: x * 7919 % 997):
		        f.seek(p * frame)
		        assert f.read(frame) == bytes([p % 251]) * frame, p
	END
}

make_repository "$work/repo"
mkdir "$work/zoo" "$work/back"
make_zoo "$work/zoo"
make_library
mount_library
try_git
try_copies
try_sqlite
try_saves
try_seeking
seal_library
sums=$(cd "$mnt" && find . -type f -not -name video -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
remount_library
check_is "all bytes after sealing and a new mount" "$sums" \
	"$(cd "$mnt" && find . -type f -not -name video -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)"
same_tree "$work/zoo" "$mnt/zoo" "after a new mount"
check "git fsck after a new mount" git -C "$mnt/clone" fsck --no-progress --no-dangling
unmount_library
check_library --deep
finish
