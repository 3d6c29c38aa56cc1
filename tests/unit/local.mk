# SPDX-License-Identifier: GPL-3.0-or-later
# A unit test is one file, tests/unit/FOLDER/test-NAME.c. Each takes two lines in
# its folder's local.mk; its source is found by its name:
#
#   UNIT_TESTS += tests/unit/util/test-buf
#   tests_unit_util_test_buf_LDADD = $(UNIT_UTIL_LIBS)
AM_CPPFLAGS += $(CHECK_CFLAGS)
AM_DEFAULT_SOURCE_EXT = .c

UNIT_UTIL_LIBS = $(UTIL_LIBS) $(CHECK_LIBS)
UNIT_META_LIBS = $(META_LIBS) $(CHECK_LIBS)
UNIT_STORE_LIBS = tests/unit/s3/libserver.a $(STORE_LIBS) $(CHECK_LIBS)
UNIT_CONTENT_LIBS = $(CONTENT_LIBS) $(CHECK_LIBS)
UNIT_LIBRARY_LIBS = $(LIBRARY_LIBS) $(CHECK_LIBS)
UNIT_AGENT_LIBS = $(AGENT_LIBS) $(CHECK_LIBS)
UNIT_MOUNT_LIBS = $(MOUNT_LIBS) $(CHECK_LIBS)

include tests/unit/util/local.mk
include tests/unit/meta/local.mk
include tests/unit/s3/local.mk
include tests/unit/store/local.mk
include tests/unit/content/local.mk
include tests/unit/library/local.mk
include tests/unit/agent/local.mk
include tests/unit/fuse/local.mk
