#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The layers of the source include downwards only, and a library's header is
# included in its one place. Tries itself on planted violations first.

# check_tree TOP: prints every include that points the wrong way.
check_tree() {
	(cd "$1" && find src tools \( -name '*.c' -o -name '*.h' -o -name '*.def' \) -print0 2>/dev/null |
		xargs -0r awk '
	# The rank of a folder; those of one rank do not include one another. The local store keeps
	# its places in the metadata, and so lies above it.
	function rank(folder) {
		if (folder == "util") return 1
		if (folder == "backend/meta" || folder == "backend/s3") return 2
		if (folder == "backend/store") return 3
		if (folder == "content") return 4
		if (folder == "library") return 5
		if (folder == "fuse" || folder == "api" || folder == "agent") return 6
		if (folder == "tools") return 7
		return 0
	}
	function folder_of(path) {
		sub(/\/[^\/]*$/, "", path)
		return path
	}
	function wrong(why) {
		printf "%s:%d: %s: %s\n", FILENAME, FNR, $0, why
	}
	# May the file include the system header, which belongs to the files that match?
	function belongs(header, pattern, files) {
		if (header ~ pattern && FILENAME !~ files)
			wrong("belongs in " files)
	}
	FNR == 1 {
		here = folder_of(FILENAME)
		sub(/^src\//, "", here)
		if (rank(here) == 0)
			printf "%s: a folder that no layer has\n", FILENAME
	}
	/^[ \t]*#[ \t]*include[ \t]*</ {
		header = $0
		sub(/^[^<]*</, "", header)
		sub(/>.*/, "", header)
		belongs(header, "^fuse(3?/|_|\\.)", "^src/fuse/")
		belongs(header, "^sqlite3", "^src/backend/meta/sqlite[^/]*$")
		belongs(header, "^(curl/|curl\\.h)", "^src/backend/s3/http[^/]*$")
		belongs(header, "^expat", "^src/backend/s3/xml")
		belongs(header, "^zstd", "^src/library/backup-segment")
		belongs(header, "^(postgresql/)?libpq", "^src/backend/meta/postgres[^/]*$")
		belongs(header, "^microhttpd", "^src/api/")
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		header = $0
		sub(/^[^"]*"/, "", header)
		sub(/".*/, "", header)
		if (header == "config.h")
			next
		if (header !~ /\//) {
			if (here != "tools")
				wrong("a path from src/ is wanted")
			next
		}
		there = folder_of(header)
		if (rank(there) == 0)
			wrong("no layer is called " there)
		else if (there != here && rank(there) >= rank(here))
			wrong(there " is not below " here)
	}')
}

# Plants one line in a file of an otherwise good tree: it has to be caught, and alone.
plant() {
	local scratch found
	scratch=$(mktemp -d) || exit 1
	mkdir -p "$scratch/$(dirname "$1")"
	printf '#include "config.h"\n#include <stdio.h>\n#include "util/buf.h"\n%s\n' "$2" >"$scratch/$1"
	found=$(check_tree "$scratch" | wc -l)
	rm -rf "$scratch"
	if [ "$found" -ne "$3" ]; then
		echo "self-test: $2 in $1: $found found, $3 expected"
		exit 1
	fi
}

plant src/fuse/ops.c '#include "library/tree.h"' 0
plant src/fuse/ops.c '#include <fuse_lowlevel.h>' 0
plant src/backend/meta/sqlite-stmt.c '#include <sqlite3.h>' 0
plant tools/mv.c '#include "fuse/mount.h"' 0
plant src/util/buf.c '#include "content/draft.h"' 1
plant src/content/draft.c '#include "library/tree.h"' 1
plant src/backend/store/local.c '#include "backend/meta/meta.h"' 0
plant tools/mv.c '#include "cmd.h"' 0
plant src/backend/store/local.c '#include "content/draft.h"' 1
plant src/backend/meta/sqlite.c '#include "backend/store/store.h"' 1
plant src/fuse/ops.c '#include "api/server.h"' 1
plant src/api/server.c '#include "fuse/mount.h"' 1
plant src/library/tree.c '#include <fuse_lowlevel.h>' 1
plant src/library/tree.c '#include <fuse3/fuse.h>' 1
plant src/library/tree.c '  #  include <sqlite3.h>' 1
plant src/backend/meta/meta.c '#include <sqlite3.h>' 1
plant src/backend/store/local.c '#include <curl/curl.h>' 1
plant src/backend/s3/client.c '#include <curl/curl.h>' 1
plant src/backend/s3/http-easy.c '#include <curl/curl.h>' 0
plant src/backend/s3/client.c '#include <expat.h>' 1
plant src/backend/store/store-s3.c '#include <zstd.h>' 1
plant src/backend/store/store-s3.c '#include "backend/s3/client.h"' 0
plant src/backend/s3/client.c '#include "backend/meta/meta.h"' 1
plant src/backend/meta/sqlite.c '#include <libpq-fe.h>' 1
plant src/content/draft.c '#include "draft.h"' 1
plant src/odd/thing.c '#include <stdio.h>' 2

found=$(check_tree "${top_srcdir:-.}")
[ -z "$found" ] || {
	echo "$found"
	exit 1
}
[ -f "${top_srcdir:-.}/src/util/version.c" ] || {
	echo "no source in ${top_srcdir:-.}"
	exit 1
}
