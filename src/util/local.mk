# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libutil.a
libutil_a_SOURCES = \
	src/util/version.c \
	src/util/version.h
