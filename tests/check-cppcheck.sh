#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The static analyser has nothing to say of the source.

builddir=${top_builddir:-.}
cd "${top_srcdir:-.}" || exit 1
command -v cppcheck || exit 1

# Not asked for: leaks, since it does not know the cleanup attribute; uninitialised values, since it
# does not look into functions that fill them. The sanitizers, valgrind and gcc see to both. Nor what
# a test does without memory: it may die of that.
analyse() {
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j "$(nproc)" \
		--enable=warning,performance,portability \
		--suppress=memleak --suppress=resourceLeak --suppress=uninitvar \
		--suppress=uninitStructMember --suppress=missingIncludeSystem \
		--suppress=normalCheckLevelMaxBranches --suppress=checkLevelNormal \
		--suppress=unknownMacro --suppress=duplicateAssignExpression \
		--suppress="nullPointerOutOfMemory:tests/*" --suppress="nullPointerArithmeticOutOfMemory:tests/*" \
		--suppress="*:/usr/include/*" --include=/usr/include/uthash.h \
		-D_GNU_SOURCE -DHAVE_CONFIG_H -I "$builddir" -I src "$@"
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
printf 'int a(int i)\n{\n\tint b[2] = { 0, 0 };\n\tif (i == 2)\n\t\treturn b[i];\n\treturn 0;\n}\n' \
	>"$scratch/bad.c"
if analyse "$scratch/bad.c" 2>/dev/null; then
	echo "self-test: cppcheck finds nothing wrong with a read past an array"
	exit 1
fi
analyse src tools tests
