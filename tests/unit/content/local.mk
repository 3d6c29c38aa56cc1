# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/unit/content/chunker-vectors.h tests/unit/content/stream.h

UNIT_TESTS += tests/unit/content/test-chunker
tests_unit_content_test_chunker_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-cut
tests_unit_content_test_cut_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-hash
tests_unit_content_test_hash_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-manifest
tests_unit_content_test_manifest_LDADD = $(UNIT_CONTENT_LIBS)
