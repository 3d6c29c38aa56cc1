#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# garner init: what it makes, what it refuses, and that a refusal leaves things as they were.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
cd "$work" || exit 1

gives 0 $'Made the library library.\nMount it with: garner mount library MOUNTPOINT' '' init library
for f in garner.db blobs config; do
	[ -e "library/$f" ] || fail "a library without $f"
done
[ "$(stat -c %a library)" = 700 ] || fail "others can look into a new library"
gives 1 '' 'garner init: library: there is a library already' init library

mkdir empty full
touch full/file file
gives 0 'Made the library empty.*' '' init empty
gives 1 '' 'garner init: full: not empty; a library wants a new or an empty folder' init full
[ "$(ls full)" = file ] || fail "a refusal leaves something behind"
gives 3 '' 'garner init: no/such: the folder to make it in does not exist' init no/such
gives 3 '' 'garner init: file: there is a file in the way' init file
gives 3 '' "garner init: '': *" init ''

odd=$'new\nline \xff'
gives 0 "Made the library \$'new\\\\nline \\\\xff'."$'\n*' '' init "$odd"
[ -e "$odd/garner.db" ] || fail "no library with an odd name"

gives 0 'Made*' '' init --chunker fixed --chunk-avg 64KiB fixed
gives 0 'Made*' '' init --chunk-avg 64KiB small
gives 0 'Made*' '' init --chunk-min 16k --chunk-avg 64k --chunk-max=128k sizes
for bad in --chunker=magic --hash=md5 --chunk-avg=big --chunk-avg=0 --chunk-avg=-4k --chunk-max=5TiB; do
	gives 2 '' "garner init: ${bad%%=*} '${bad#*=}': * is wanted*" init "$bad" bad
done
gives 2 '' 'garner init: chunk sizes must rise*' init --chunk-min 8MiB --chunk-avg 1MiB bad
gives 2 '' 'garner init: chunk sizes must rise*' init --chunk-max 1MiB bad
[ ! -e bad ] || fail "a refusal leaves a folder behind"

if [ "$EUID" -eq 0 ]; then
	chmod 755 .
	setpriv --reuid=65534 --regid=65534 --clear-groups "$GARNER" init theirs 2>err
	[ $? -eq 7 ] || fail "init where nothing may be written: $(cat err)"
fi
finish
