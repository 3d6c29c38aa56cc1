# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libutil.a
libutil_a_SOURCES = \
	src/util/buf.c \
	src/util/buf.h \
	src/util/cleanup.c \
	src/util/cleanup.h \
	src/util/conf.c \
	src/util/conf.h \
	src/util/err.c \
	src/util/err.h \
	src/util/hex.c \
	src/util/hex.h \
	src/util/io.c \
	src/util/io.h \
	src/util/large.c \
	src/util/large.h \
	src/util/lock.c \
	src/util/lock.h \
	src/util/log.c \
	src/util/log.h \
	src/util/name.c \
	src/util/name.h \
	src/util/parse.c \
	src/util/parse.h \
	src/util/pool.c \
	src/util/pool.h \
	src/util/privilege.c \
	src/util/privilege.h \
	src/util/ranks.h \
	src/util/thread.c \
	src/util/thread.h \
	src/util/time.c \
	src/util/time.h \
	src/util/utf8.c \
	src/util/utf8.h \
	src/util/uuid.c \
	src/util/uuid.h \
	src/util/version.c \
	src/util/version.h

EXTRA_DIST += src/util/DESIGN
