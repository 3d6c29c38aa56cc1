# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += liblibrary.a
liblibrary_a_SOURCES = \
	src/library/acl.c \
	src/library/acl.h \
	src/library/file.h \
	src/library/identity.c \
	src/library/identity.h \
	src/library/instance.c \
	src/library/instance.h \
	src/library/internal.h \
	src/library/journal.c \
	src/library/journal.h \
	src/library/library-init.c \
	src/library/library.c \
	src/library/library.h \
	src/library/node.c \
	src/library/node.h \
	src/library/settings.c \
	src/library/settings.h \
	src/library/tree-add.c \
	src/library/tree-internal.h \
	src/library/tree-make.c \
	src/library/tree-path.c \
	src/library/tree-rename.c \
	src/library/tree-set.c \
	src/library/tree-unlink.c \
	src/library/tree-xattr.c \
	src/library/tree.c \
	src/library/tree.h
