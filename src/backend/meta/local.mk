# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libmeta.a
libmeta_a_SOURCES = \
	src/backend/meta/catalogue.c \
	src/backend/meta/catalogue.h \
	src/backend/meta/dialect.c \
	src/backend/meta/dialect.h \
	src/backend/meta/meta-driver.h \
	src/backend/meta/meta.c \
	src/backend/meta/meta.h \
	src/backend/meta/op.c \
	src/backend/meta/pages.c \
	src/backend/meta/pages.h \
	src/backend/meta/queue.c \
	src/backend/meta/queue.h \
	src/backend/meta/schema.def \
	src/backend/meta/sql-admin.def \
	src/backend/meta/sql-backup.def \
	src/backend/meta/sql-content.def \
	src/backend/meta/sql-evict.def \
	src/backend/meta/sql-file.def \
	src/backend/meta/sql-fetch.def \
	src/backend/meta/sql-import.def \
	src/backend/meta/sql-check.def \
	src/backend/meta/sql-reap.def \
	src/backend/meta/sql-report.def \
	src/backend/meta/sql-store.def \
	src/backend/meta/sql-tree.def \
	src/backend/meta/sql-upload.def \
	src/backend/meta/sql.def \
	src/backend/meta/sqlite-conn.c \
	src/backend/meta/sqlite-conn.h \
	src/backend/meta/sqlite-copy.c \
	src/backend/meta/sqlite-copy.h \
	src/backend/meta/sqlite-log.c \
	src/backend/meta/sqlite-log.h \
	src/backend/meta/sqlite-open.c \
	src/backend/meta/sqlite-pages.c \
	src/backend/meta/sqlite-pages.h \
	src/backend/meta/sqlite-schema.c \
	src/backend/meta/sqlite-schema.h \
	src/backend/meta/sqlite-sync.c \
	src/backend/meta/sqlite-sync.h \
	src/backend/meta/sqlite-wal.c \
	src/backend/meta/sqlite-wal.h \
	src/backend/meta/sqlite.c \
	src/backend/meta/sqlite.h
EXTRA_DIST += src/backend/meta/DESIGN
