# SPDX-License-Identifier: GPL-3.0-or-later
# The test server, for whichever test wants one.
EXTRA_DIST += tests/unit/s3/client-unit.h tests/unit/s3/s3-unit.h
check_LIBRARIES = tests/unit/s3/libserver.a
tests_unit_s3_libserver_a_SOURCES = \
	tests/unit/s3/server-answer.c \
	tests/unit/s3/server-internal.h \
	tests/unit/s3/server.c \
	tests/unit/s3/server.h
UNIT_S3_LIBS = tests/unit/s3/libserver.a $(S3_LIBS) $(CHECK_LIBS)

UNIT_TESTS += tests/unit/s3/test-client
tests_unit_s3_test_client_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-client-end
tests_unit_s3_test_client_end_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-client-fault
tests_unit_s3_test_client_fault_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-client-put
tests_unit_s3_test_client_put_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-credentials
tests_unit_s3_test_credentials_LDADD = $(UNIT_S3_LIBS)
tests_unit_s3_test_credentials_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=s3_http_fetch
UNIT_TESTS += tests/unit/s3/test-keeper
tests_unit_s3_test_keeper_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-probe
tests_unit_s3_test_probe_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-profile
tests_unit_s3_test_profile_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-retry
tests_unit_s3_test_retry_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-settings
tests_unit_s3_test_settings_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-sign
tests_unit_s3_test_sign_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-xml
tests_unit_s3_test_xml_LDADD = $(UNIT_S3_LIBS)
UNIT_TESTS += tests/unit/s3/test-many
tests_unit_s3_test_many_LDADD = $(UNIT_S3_LIBS)
