# SPDX-License-Identifier: GPL-3.0-or-later
# A result file of bench-growth as a table: a column for each size of library, and the last against the first.
{
	n[$2, $3]++
	value[$2, $3, n[$2, $3]] = $4
	unit[$3] = $5
	if (!($3 in known)) { known[$3] = 1; names[++name_count] = $3 }
	if (!($2 in seen)) { seen[$2] = 1; sizes[++size_count] = $2 }
}

function middle(size, name,   i, list) {
	for (i = 1; i <= n[size, name]; i++) list[i] = value[size, name, i]
	return median(list, n[size, name])
}

END {
	printf "| assets |"
	for (s = 1; s <= size_count; s++) printf " %d |", sizes[s]
	printf " last : first |\n|---|---|"
	for (s = 1; s <= size_count; s++) printf "---|"
	printf "\n"
	for (i = 1; i <= name_count; i++) {
		printf "| %s |", names[i]
		for (s = 1; s <= size_count; s++) printf " %.*f %s |", middle(sizes[s], names[i]) < 100 ? 1 : 0, middle(sizes[s], names[i]), unit[names[i]]
		printf " %.2f |\n", middle(sizes[size_count], names[i]) / middle(sizes[1], names[i])
	}
}
