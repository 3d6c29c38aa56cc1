# SPDX-License-Identifier: GPL-3.0-or-later
# Against S3 servers that others wrote. They want packages that a plain `make check` can do without;
# ./setup test runs them.
EXTRA_DIST += tests/s3/fault-proxy tests/s3/kill-load.py tests/s3/lib.sh tests/s3/swift-start

check_PROGRAMS += tests/tools/s3tool
tests_tools_s3tool_SOURCES = tests/tools/s3tool.c
tests_tools_s3tool_LDADD = tests/unit/s3/libserver.a $(S3_LIBS)

S3_SHELL += tests/s3/test-swift.sh tests/s3/test-faults.sh tests/s3/test-fetch.sh
S3_SHELL += tests/s3/test-push.sh
S3_SHELL += tests/s3/test-backup.sh
S3_SHELL += tests/s3/test-export.sh
S3_SHELL += tests/s3/test-cache.sh
S3_SHELL += tests/s3/test-kill.sh
S3_SHELL += tests/s3/test-mend.sh
