#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every man page is well formed, and names all mount options that garner takes.
cd "${top_srcdir:-.}/man" || exit 1
command -v mandoc >/dev/null || { echo "mandoc is missing"; exit 1; }
result=0
printf '.TH X 1 2000-01-01\n.SH NAME\nx \\- y\n.XY z\n' | mandoc -Tlint -Wwarning >/dev/null && {
	echo "self-test: mandoc finds nothing wrong with a bad page"
	exit 1
}
for page in *.[1-8]; do
	mandoc -Tlint -Wwarning "$page" || result=1
	grep -q "^\.TH ${page%.*} ${page##*.} " <<<"$(tr '[:upper:]' '[:lower:]' <"$page" | sed 's/^\.th/.TH/')" ||
		{ echo "$page: the title is another"; result=1; }
done

# The words in the tables of mount-options.c.
mapfile -t words < <(sed -nE '/words\[\] = \{/,/^\};/p; /ignored\[\] = /,/;$/p' ../tools/mount-options.c | grep -oE '"[a-z_]+"' | tr -d '"')
mapfile -t values < <(grep -oE 'strncmp\(word, "[a-z]+=' ../tools/mount-options.c | grep -oE '[a-z]+=')
[ ${#words[@]} -ge 30 ] && [ ${#values[@]} -ge 4 ] || { echo "the mount options are not found"; result=1; }
text=$(sed -e 's/\\-/-/g' -e 's/\\f.//g' garner-mount.1)
for w in "${words[@]}" "${values[@]}"; do
	[[ $w == user= ]] || grep -qE "(^|[ ,\"/])$w([ ,\".=A-Z]|\$)" <<<"$text" ||
		{ echo "garner-mount.1: nothing of the option $w"; result=1; }
done
exit $result
