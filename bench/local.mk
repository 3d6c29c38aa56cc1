# SPDX-License-Identifier: GPL-3.0-or-later

# How fast content is cut and hashed: make bench/bench-core && bench/bench-core
EXTRA_PROGRAMS += bench/bench-core
bench_bench_core_LDADD = $(CONTENT_LIBS)

# How fast the metadata is: make bench/bench-meta && bench/bench-meta FOLDER
EXTRA_PROGRAMS += bench/bench-meta
bench_bench_meta_LDADD = $(META_LIBS)

# What a mount makes of the disk under it, against that disk; ROUNDS, SIZE, FILES, WORK as bench/bench-mount says.
EXTRA_PROGRAMS += bench/bench-files
EXTRA_DIST += bench/bench-mount bench/bench-trees bench/bench-compare bench/bench-growth bench/bench-import.sh bench/bench-offline bench/bench-s3 bench/growth.awk bench/limit.awk bench/median.awk bench/table.awk bench/compare.awk

.PHONY: bench
bench: garner bench/bench-files bench/bench-core
	bench/bench-core
	GARNER='$(abs_top_builddir)/garner' BENCH_FILES='$(abs_top_builddir)/bench/bench-files' \
		$(top_srcdir)/bench/bench-mount

# What FUSE allows: small operations on the disk, on a filesystem that does nothing, on the example and on garner; variables as bench/bench-mount says.
EXTRA_PROGRAMS += bench/bench-null
bench_bench_null_LDADD = $(FUSE_LIBS)
.PHONY: bench-limit
bench-limit: garner bench/bench-files bench/bench-null
	hp=$$(command -v "$${PASSTHROUGH_HP:-passthrough_hp}" >/dev/null && echo hp hp-own); \
	KINDS="$${KINDS:-native null null-own garner garner-own $$hp}" ROUNDS="$${ROUNDS:-12}" SIZE=0 FILES="$${FILES:-100}" TREE_FILES="$${TREE_FILES:-100}" \
		NAMES="$${NAMES:-500}" OUT="$${OUT:-bench-limit.tsv}" GARNER='$(abs_top_builddir)/garner' BENCH_FILES='$(abs_top_builddir)/bench/bench-files' \
		BENCH_NULL='$(abs_top_builddir)/bench/bench-null' $(top_srcdir)/bench/bench-mount

# How it grows from 10 000 to 1 000 000 files; COUNTS, ROUNDS, FILES, WORK as bench/bench-growth says. Takes some ten minutes and 5 GiB.
.PHONY: bench-growth
bench-growth: garner bench/bench-files
	GARNER='$(abs_top_builddir)/garner' BENCH_FILES='$(abs_top_builddir)/bench/bench-files' \
		$(top_srcdir)/bench/bench-growth

# What goes to and from a bucket, against curl; ROUNDS, SIZE, CONNECTIONS, WORK and a server as bench/bench-s3 says.
.PHONY: bench-s3
bench-s3: garner tests/tools/s3tool
	GARNER='$(abs_top_builddir)/garner' S3TOOL='$(abs_top_builddir)/tests/tools/s3tool' $(top_srcdir)/bench/bench-s3

# What needs no bucket, with one that does not answer; ROUNDS, FILES, WORK as bench/bench-offline says.
.PHONY: bench-offline
bench-offline: garner tests/tools/s3tool
	GARNER='$(abs_top_builddir)/garner' S3TOOL='$(abs_top_builddir)/tests/tools/s3tool' $(top_srcdir)/bench/bench-offline
