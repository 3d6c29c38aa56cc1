# SPDX-License-Identifier: GPL-3.0-or-later

# How fast content is cut and hashed: make bench/bench-core && bench/bench-core
EXTRA_PROGRAMS += bench/bench-core
bench_bench_core_LDADD = $(CONTENT_LIBS)
