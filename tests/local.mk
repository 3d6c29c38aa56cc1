# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/run-test

include tests/unit/local.mk
include tests/mount/local.mk
