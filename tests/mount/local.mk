# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/mount/lib.sh

check_PROGRAMS += tests/tools/torture tests/tools/crash
tests_tools_torture_SOURCES = tests/tools/torture.c tests/tools/torture-model.c tests/tools/torture-model.h
tests_tools_crash_SOURCES = tests/tools/crash.c

MOUNT_SHELL += \
	tests/mount/test-crash.sh \
	tests/mount/test-fstab.sh \
	tests/mount/test-samba.sh \
	tests/mount/test-torture.sh

THREAD_TESTS += tests/mount/test-torture.sh

check_PROGRAMS += tests/mount/calls
tests_mount_calls_SOURCES = tests/mount/calls.c tests/mount/calls.h tests/mount/calls-attributes.c tests/mount/calls-bytes.c \
	tests/mount/calls-names.c tests/mount/cases.c tests/mount/cases.h
tests_mount_calls_CPPFLAGS = $(AM_CPPFLAGS)
tests_mount_calls_LDADD = $(CHECK_LIBS)
MOUNT_SHELL += tests/mount/test-calls.sh tests/mount/test-programs.sh

check_PROGRAMS += tests/tools/populate
tests_tools_populate_SOURCES = tests/tools/populate.c
tests_tools_populate_LDADD = $(LIBRARY_LIBS)
MOUNT_SHELL += tests/mount/test-scale.sh

# Long campaigns; short forms of them run in `make check`.
.PHONY: check-scale check-crash check-torture
check-scale:
	SCALE_ASSETS=1000000 TEST_TIMEOUT=3600 $(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/mount/test-scale.sh
check-crash:
	CRASH_ROUNDS=200 TEST_TIMEOUT=14400 $(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/mount/test-crash.sh
check-torture:
	TORTURE_OPS=200000 TEST_TIMEOUT=14400 $(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/mount/test-torture.sh
MOUNT_SHELL += tests/mount/test-dedup.sh tests/mount/test-end.sh tests/mount/test-processes.sh tests/mount/test-trouble.sh
MOUNT_SHELL += tests/mount/test-import.sh tests/mount/test-times.sh

check_PROGRAMS += tests/mount/pass
tests_mount_pass_SOURCES = tests/mount/pass.c tests/mount/pass.h tests/mount/pass-attributes.c tests/mount/pass-edit.c \
	tests/mount/pass-map.c tests/mount/cases.c tests/mount/cases.h
tests_mount_pass_CPPFLAGS = $(AM_CPPFLAGS)
tests_mount_pass_LDADD = $(CHECK_LIBS)
MOUNT_SHELL += tests/mount/test-pass.sh

EXTRA_DIST += tests/mount/crowd.py
MOUNT_SHELL += tests/mount/test-requests.sh
MOUNT_SHELL += tests/mount/test-room.sh
THREAD_TESTS += tests/mount/test-requests.sh
