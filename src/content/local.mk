# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libcontent.a
libcontent_a_SOURCES = \
	src/content/bundle.c \
	src/content/bundle.h \
	src/content/chunker-gear.c \
	src/content/chunker.c \
	src/content/chunker.h \
	src/content/collect-blob.c \
	src/content/collect-internal.h \
	src/content/collect.c \
	src/content/collect.h \
	src/content/content-internal.h \
	src/content/content.c \
	src/content/content.h \
	src/content/cut.c \
	src/content/cut.h \
	src/content/draft-internal.h \
	src/content/draft-io.c \
	src/content/draft-log.c \
	src/content/draft-pool.c \
	src/content/draft-pool.h \
	src/content/draft-run.c \
	src/content/draft-sync.c \
	src/content/draft-unseal.c \
	src/content/draft.c \
	src/content/draft.h \
	src/content/extent.c \
	src/content/extent.h \
	src/content/hash.c \
	src/content/hash.h \
	src/content/manifest.c \
	src/content/manifest.h \
	src/content/seal-cut.c \
	src/content/seal-finish.c \
	src/content/seal-internal.h \
	src/content/seal-known.c \
	src/content/seal-piece.c \
	src/content/seal-reuse.c \
	src/content/seal-rows.c \
	src/content/seal-store.c \
	src/content/seal.c \
	src/content/seal.h \
	src/content/upload-internal.h \
	src/content/upload-pace.c \
	src/content/upload-rows.c \
	src/content/upload-send.c \
	src/content/upload.c \
	src/content/upload.h \
	src/content/view-open.c \
	src/content/view-open.h \
	src/content/view.c \
	src/content/view.h
EXTRA_DIST += src/content/DESIGN doc/chunking.md
