# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/mount/lib.sh

check_PROGRAMS += tests/tools/torture tests/tools/crash
tests_tools_torture_SOURCES = tests/tools/torture.c tests/tools/torture-model.c tests/tools/torture-model.h
tests_tools_crash_SOURCES = tests/tools/crash.c

MOUNT_SHELL += \
	tests/mount/test-crash.sh \
	tests/mount/test-torture.sh

THREAD_TESTS += tests/mount/test-torture.sh

check_PROGRAMS += tests/mount/calls
tests_mount_calls_CPPFLAGS = $(AM_CPPFLAGS)
tests_mount_calls_LDADD = $(CHECK_LIBS)
MOUNT_SHELL += tests/mount/test-calls.sh
