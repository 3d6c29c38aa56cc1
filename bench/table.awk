# SPDX-License-Identifier: GPL-3.0-or-later
# A result file of bench-mount as a table of ratios to native.
{
	rate[$1, $2, $3] = $4
	unit[$3] = $5
	if (!($3 in known)) { known[$3] = 1; names[++name_count] = $3 }
	if (!($2 in seen)) { seen[$2] = 1; kinds[++kind_count] = $2 }
}

function ratio_cell(kind, name,   r, q, low, high, list) {
	for (r = 1; r <= rounds; r++) {
		q = rate[r, kind, name] / rate[r, "native", name]
		list[r] = q
		if (r == 1 || q < low) low = q
		if (r == 1 || q > high) high = q
	}
	return sprintf(" %.2f | %.2f-%.2f |", median(list, rounds), low, high)
}

END {
	printf "| | native |"
	for (k = 2; k <= kind_count; k++) printf " %s | spread |", kinds[k]
	printf "\n|---|---|"
	for (k = 2; k <= kind_count; k++) printf "---|---|"
	printf "\n"
	for (i = 1; i <= name_count; i++) {
		for (r = 1; r <= rounds; r++) list[r] = rate[r, "native", names[i]]
		printf "| %s | %.0f %s |", names[i], median(list, rounds), unit[names[i]]
		for (k = 2; k <= kind_count; k++) printf "%s", ratio_cell(kinds[k], names[i])
		printf "\n"
	}
}
