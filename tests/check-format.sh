#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every C file is as clang-format leaves it, by .clang-format.
# To mend: clang-format -i FILE. CLANG_FORMAT names another program.

cd "${top_srcdir:-.}" || exit 1
format=${CLANG_FORMAT:-clang-format}
command -v "$format" || exit 1

if printf 'int a(void){return 0;}\n' |
	"$format" --dry-run -Werror --assume-filename=src/a.c 2>/dev/null; then
	echo "self-test: $format finds nothing wrong with a bad line"
	exit 1
fi
find src tools tests bench -name '*.[ch]' -print0 | xargs -0r "$format" --dry-run -Werror
