#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every shell script of the project passes shellcheck, at its level "warning".

cd "${top_srcdir:-.}" || exit 1
command -v shellcheck || exit 1
if printf '#!/bin/bash\nrm $1/$unset_name*\ncd /nowhere\n' | shellcheck -S warning - >/dev/null; then
	echo "self-test: shellcheck finds nothing wrong with a bad script"
	exit 1
fi
mapfile -t scripts < <(grep -rlE '^#!/bin/(ba)?sh' setup .ci tests tools packaging bench)
shellcheck -S warning -e SC2154 "${scripts[@]}"
