#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# mkdir, mv, rm, ls, stat, du and history: without a mount, and then seen in one.
. "${top_srcdir:-.}/tests/mount/lib.sh" && . "$top_srcdir/tests/cli/lib.sh" || exit 1
make_library

gives 0 '' '' ls "$lib"
gives 0 '' '' mkdir "$lib" a /b
gives 0 '' '' mkdir -p "$lib" a/deep/er a/deep
gives 0 '' '' mkdir -p "$lib" /
gives 1 '' 'garner mkdir: a: File exists' mkdir "$lib" a
gives 1 '' 'garner mkdir: /: File exists' mkdir "$lib" /
gives 3 '' 'garner mkdir: no/such: the folder to make it in does not exist; --parents makes it' mkdir "$lib" no/such
gives 1 '' "garner mkdir: a: File exists" mkdir "$lib" a c
gives 0 $'a\nb\nc' '' ls "$lib"

mount_library
echo hello >"$mnt/a/file"
ln -s file "$mnt/a/sym"
ln "$mnt/a/file" "$mnt/b/again"
mkfifo "$mnt/a/fifo"
seal_library

gives 0 $'deep\nfile\nsym\nfifo' '' ls "$lib" /a/
gives 0 'file' '' ls "$lib" a/file
gives 0 $'*\ndeep/er\n*' '' ls -R "$lib" a
gives 0 '-rw-r--r--   2 *  6 2[0-9-]* [0-9:]* local     file' '' ls -l "$lib" a/file
gives 3 'file' 'garner ls: nope: not in the library' ls "$lib" nope a/file
gives 3 '' 'garner ls: a/file/x: *' ls "$lib" a/file/x
gives 3 '' "garner ls: $mnt/a: paths are given from the top of the library: '/a'" ls "$lib" "$mnt/a"
gives 4 '' "garner ls: $mnt: not the library, but where it is mounted; the library is $lib" ls "$mnt"
json 'map(.name) == ["deep", "file", "sym", "fifo"] and map(.kind) == ["folder", "asset", "symlink", "fifo"]' ls --json "$lib" a
json 'map(.name) | index("a/deep/er") != null' ls -R --json "$lib"
json '. == []' ls --json "$lib" a/deep/er

gives 0 *$'kind:      asset\n'*$'links:     2\n'*$'content:   sealed\nversions:  1\nroot: '* '' stat "$lib" a/file
gives 0 *$'kind:      symlink\n'*$'target:    file\n'* '' stat "$lib" a/sym
gives 3 '' 'garner stat: nope: not in the library' stat "$lib" nope
json '.[0].versions == 1 and (.[0].root | length) == 64 and .[0].size == 6 and .[1].target == "file"' stat --json "$lib" a/file a/sym

json '.[0] | .path == "/" and .bytes == 10 and .assets == 1 and .folders == 5' du --json "$lib"
gives 0 $'10\t*\t1\t2\ta' '' du -b "$lib" a
gives 3 '' 'garner du: nope: not in the library' du "$lib" nope

# A change is seen in the mount when the command returns.
stat "$mnt/a/file" >/dev/null
gives 0 '' '' mv "$lib" a/file b/moved
[ -e "$mnt/b/moved" ] && [ ! -e "$mnt/a/file" ] || fail "mv is not seen in the mount"
gives 0 '' '' mv "$lib" b/moved c
[ -e "$mnt/c/moved" ] || fail "mv into a folder"
gives 0 '' '' mv "$lib" c/moved a/sym a/fifo b
[ -e "$mnt/b/fifo" ] || fail "mv of several"
gives 3 '' 'garner mv: nope: not in the library' mv "$lib" nope c
gives 3 '' 'garner mv: no/such: the folder to move to does not exist' mv "$lib" c no/such
gives 3 '' 'garner mv: nope: no folder to move several into' mv "$lib" a c nope
gives 1 '' 'garner mv: a: cannot be moved into itself*' mv "$lib" a a/deep
gives 1 '' 'garner mv: /: the top folder cannot be *' mv "$lib" / a
gives 3 '' 'garner mv: b/again: not a folder; a folder cannot take its place' mv "$lib" a b/again
gives 3 '' 'garner mv: b/again/x: the folder to move to does not exist' mv "$lib" b/moved b/again/x
gives 1 '' 'garner mv: b/moved: the new name is taken' mv -n "$lib" b/moved b/again
gives 3 '' "garner mv: $mnt/c: paths are given from the top of the library: '/c'" mv "$lib" "$mnt/c" d

json '(.versions | length) == 1 and (.events | map(.action) | index("rename") != null)' history --json "$lib" b/moved
gives 0 'version *6 bytes *rename *' '' history "$lib" b/moved
gives 3 '' 'garner history: nope: not in the library' history "$lib" nope

gives 1 '' 'garner rm: a: a folder; --recursive moves it to the trash with what is in it' rm "$lib" a
gives 1 '' 'garner rm: /: the top folder cannot be *' rm -r "$lib" /
gives 3 '' 'garner rm: nope: not in the library' rm "$lib" nope
gives 0 '' '' rm -f "$lib" nope
gives 3 '' "garner rm: $mnt/b: paths are given from the top of the library: '/b'" rm -rf "$lib" "$mnt/b"
gives 3 '' 'garner rm: nope: not in the library' rm "$lib" nope b/sym
gives 0 '' '' rm -r "$lib" a b/moved
[ ! -e "$mnt/a" ] && [ ! -e "$mnt/b/moved" ] && [ ! -L "$mnt/b/sym" ] || fail "rm is not seen in the mount"
[ "$(cat "$mnt/b/again")" = hello ] || fail "rm of one place takes the other"

unmount_library
check_library
finish
