# SPDX-License-Identifier: GPL-3.0-or-later
# The command line: what each subcommand says, and how it ends.
EXTRA_DIST += tests/cli/lib.sh

CHECK_SHELL += \
	tests/cli/test-cache.sh \
	tests/cli/test-completion.sh \
	tests/cli/test-gc.sh \
	tests/cli/test-init.sh \
	tests/cli/test-pull.sh \
	tests/cli/test-push.sh \
	tests/cli/test-s3.sh \
	tests/cli/test-usage.sh

LINT_SHELL += \
	tests/cli/test-man.sh

MOUNT_SHELL += \
	tests/cli/test-copy.sh \
	tests/cli/test-export.sh \
	tests/cli/test-mount.sh \
	tests/cli/test-names.sh \
	tests/cli/test-trash.sh \
	tests/cli/test-tree.sh
