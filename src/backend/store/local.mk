# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libstore.a
EXTRA_DIST += src/backend/store/DESIGN doc/store.md
libstore_a_SOURCES = \
	src/backend/store/blobs-cache.c \
	src/backend/store/blobs-internal.h \
	src/backend/store/blobs-io.c \
	src/backend/store/blobs-probe.c \
	src/backend/store/blobs-refer.c \
	src/backend/store/blobs.c \
	src/backend/store/blobs.h \
	src/backend/store/store-fault.c \
	src/backend/store/store-fault.h \
	src/backend/store/store-local-bundle.c \
	src/backend/store/store-local-change.c \
	src/backend/store/store-local-internal.h \
	src/backend/store/store-local-place.c \
	src/backend/store/store-local.c \
	src/backend/store/store-local.h \
	src/backend/store/store-memory.c \
	src/backend/store/store-memory.h \
	src/backend/store/store-s3.c \
	src/backend/store/store-s3.h \
	src/backend/store/store.c \
	src/backend/store/store.h
