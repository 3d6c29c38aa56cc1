# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libcontent.a
libcontent_a_SOURCES = \
	src/content/chunker-gear.c \
	src/content/chunker.c \
	src/content/chunker.h \
	src/content/cut.c \
	src/content/cut.h \
	src/content/hash.c \
	src/content/hash.h \
	src/content/manifest.c \
	src/content/manifest.h
