# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libagent.a
libagent_a_SOURCES = \
	src/agent/export-bucket.c \
	src/agent/export-bucket.h \
	src/agent/export-content.c \
	src/agent/export-internal.h \
	src/agent/export.c \
	src/agent/export.h \
	src/agent/import-batch.c \
	src/agent/import-folder.c \
	src/agent/import-internal.h \
	src/agent/import-link.c \
	src/agent/import-move.c \
	src/agent/import-plan.c \
	src/agent/import-source.c \
	src/agent/import-walk.c \
	src/agent/import.c \
	src/agent/import.h
EXTRA_DIST += src/agent/DESIGN
