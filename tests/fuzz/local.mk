# SPDX-License-Identifier: GPL-3.0-or-later
# A fuzzer is one file, tests/fuzz/fuzz-NAME.c. `make check` runs each for a moment with a driver of ours; configured with
# --enable-fuzzers (and clang) they are libFuzzer's programs instead, and `make check` leaves them alone.
EXTRA_DIST += tests/fuzz/fuzz.h
FUZZERS_ALL = \
	tests/fuzz/fuzz-backup \
	tests/fuzz/fuzz-conf \
	tests/fuzz/fuzz-cut \
	tests/fuzz/fuzz-manifest \
	tests/fuzz/fuzz-s3 \
	tests/fuzz/fuzz-text

if FUZZERS
FUZZ_DRIVER =
check_PROGRAMS += $(FUZZERS_ALL)
else
FUZZ_DRIVER = tests/fuzz/driver.c
UNIT_TESTS += $(FUZZERS_ALL)
endif
FUZZ_LINK = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

tests_fuzz_fuzz_backup_SOURCES = tests/fuzz/fuzz-backup.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_backup_LDADD = $(LIBRARY_LIBS)
tests_fuzz_fuzz_backup_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz-conf.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_conf_LDADD = $(UTIL_LIBS)
tests_fuzz_fuzz_conf_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_cut_SOURCES = tests/fuzz/fuzz-cut.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_cut_LDADD = $(CONTENT_LIBS)
tests_fuzz_fuzz_cut_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_manifest_SOURCES = tests/fuzz/fuzz-manifest.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_manifest_LDADD = $(CONTENT_LIBS)
tests_fuzz_fuzz_manifest_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_s3_SOURCES = tests/fuzz/fuzz-s3.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_s3_LDADD = $(S3_LIBS)
tests_fuzz_fuzz_s3_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz-text.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_text_LDADD = $(CONTENT_LIBS)
tests_fuzz_fuzz_text_LDFLAGS = $(FUZZ_LINK)
