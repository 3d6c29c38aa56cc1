# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libagent.a
libagent_a_SOURCES = \
	src/agent/export.c \
	src/agent/export.h
EXTRA_DIST += src/agent/DESIGN
