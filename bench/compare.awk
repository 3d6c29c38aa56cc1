# SPDX-License-Identifier: GPL-3.0-or-later
# Two result files of bench-mount: ratios to native then and now.
FNR == 1 { file++ }
{
	rate[file, $1, $2, $3] = $4
	key = $2 " " $3
	if ($2 != "native" && !(key in known)) { known[key] = 1; keys[++key_count] = key }
	if ($1 > rounds) rounds = $1
}

function look(f, kind, name,   r, q, n, list) {
	n = 0
	for (r = 1; r <= rounds; r++) {
		if (!rate[f, r, "native", name] || !rate[f, r, kind, name]) continue
		q = rate[f, r, kind, name] / rate[f, r, "native", name]
		list[++n] = q
		if (n == 1 || q < low[f]) low[f] = q
		if (n == 1 || q > high[f]) high[f] = q
	}
	middle[f] = n ? median(list, n) : 0
}

END {
	printf "%-45s %8s %8s\n", "ratio to native, median", "old", "new"
	for (i = 1; i <= key_count; i++) {
		split(keys[i], part, " ")
		look(1, part[1], part[2])
		look(2, part[1], part[2])
		mark = ""
		if (middle[1] && middle[2]) mark = low[2] > high[1] ? "  better" : high[2] < low[1] ? "  WORSE" : ""
		printf "%-45s %8.2f %8.2f%s\n", keys[i], middle[1], middle[2], mark
	}
}
