# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/run-test tests/run-all

CHECK_SHELL += \
	tests/check-contracts.sh \
	tests/check-docs.sh \
	tests/check-includes.sh \
	tests/check-size.sh

# These want tools that a plain `make check` can do without; ./setup test runs them.
LINT_SHELL += \
	tests/check-cppcheck.sh \
	tests/check-format.sh \
	tests/check-shell.sh

include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/cli/local.mk
include tests/mount/local.mk
include tests/s3/local.mk
