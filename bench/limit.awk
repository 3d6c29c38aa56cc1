# SPDX-License-Identifier: GPL-3.0-or-later
# A result file of bench-mount with the kinds null or null-own as a table of ratios to these: what of the rate that FUSE allows is reached. What is without
# passthrough (-own) is compared with null-own, all else with null; and null itself with native.
{
	rate[$1, $2, $3] = $4
	if ($4 > best[$2, $3]) best[$2, $3] = $4
	if (!($3 in known)) { known[$3] = 1; names[++name_count] = $3 }
	if (!($2 in seen)) { seen[$2] = 1; kinds[++kind_count] = $2 }
}

function base(kind) {
	return kind ~ /^null/ ? "native" : kind ~ /-own/ ? "null-own" : "null"
}

function shown(kind) {
	return kind != "native" && base(kind) in seen
}

function cell(kind, name,   r, list) {
	for (r = 1; r <= rounds; r++) list[r] = rate[r, kind, name] / rate[r, base(kind), name]
	return sprintf(" %.2f | %.2f |", median(list, rounds), best[kind, name] / best[base(kind), name])
}

END {
	printf "| |"
	for (k = 1; k <= kind_count; k++) if (shown(kinds[k])) printf " %s : %s | best |", kinds[k], base(kinds[k])
	printf "\n|---|"
	for (k = 1; k <= kind_count; k++) if (shown(kinds[k])) printf "---|---|"
	printf "\n"
	for (i = 1; i <= name_count; i++) {
		printf "| %s |", names[i]
		for (k = 1; k <= kind_count; k++) if (shown(kinds[k])) printf "%s", cell(kinds[k], names[i])
		printf "\n"
	}
}
