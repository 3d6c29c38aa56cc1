/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strict reading of values. */
#include "config.h"

#include "util/parse.h"
#include "util/time.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Reads digits of BASE and leaves *TEXT behind them. */
static int parse_digits(const char **text, unsigned base, uint64_t *out)
{
	const char *at = *text;
	uint64_t value = 0;
	bool over = false;

	for (; *at >= '0' && (unsigned)(*at - '0') < base; at++) {
		over |= __builtin_mul_overflow(value, base, &value);
		over |= __builtin_add_overflow(value, (unsigned)(*at - '0'), &value);
	}
	if (at == *text)
		return -EINVAL;
	*text = at;
	*out = value;
	return over ? -ERANGE : 0;
}

static int parse_number(const char *text, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t value;
	int err = parse_digits(&text, base, &value);

	if (err == -EINVAL || *text)
		return -EINVAL;
	if (err || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_u64(const char *text, uint64_t max, uint64_t *out)
{
	return parse_number(text, 10, max, out);
}

int parse_octal(const char *text, uint32_t max, uint32_t *out)
{
	uint64_t value;
	int err = parse_number(text, 8, max, &value);

	if (!err)
		*out = (uint32_t)value;
	return err;
}

/* The bytes that UNIT stands for, 0 for none such. */
static uint64_t parse_size_unit(const char *unit)
{
	static const char letters[] = "kmgtp";
	uint64_t factor = 1;

	if (!*unit || strcmp(unit, "B") == 0)
		return 1;
	const char *letter = strchr(letters, *unit | 0x20);

	if (!letter || !*letter)
		return 0;
	bool decimal = strcmp(unit + 1, "B") == 0;

	if (unit[1] && !decimal && strcmp(unit + 1, "iB") != 0)
		return 0;
	for (const char *l = letters; l <= letter; l++)
		factor *= decimal ? 1000 : 1024;
	return factor;
}

int parse_size(const char *text, uint64_t *out)
{
	uint64_t value;
	int err = parse_digits(&text, 10, &value);

	if (err == -EINVAL)
		return err;
	uint64_t unit = parse_size_unit(text);

	if (!unit)
		return -EINVAL;
	if (err || __builtin_mul_overflow(value, unit, &value))
		return -ERANGE;
	*out = value;
	return 0;
}

static int64_t parse_duration_unit(const char *unit)
{
	static const struct {
		const char *word;
		int64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "ms", TIME_NS_PER_MS },
		{ "s", TIME_NS_PER_S },
		{ "m", 60 * TIME_NS_PER_S },
		{ "h", 3600 * TIME_NS_PER_S },
		{ "d", 86400 * TIME_NS_PER_S },
		{ "w", 7 * 86400 * TIME_NS_PER_S },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].word) == 0)
			return units[i].ns;
	}
	return 0;
}

int parse_duration(const char *text, int64_t *out_ns)
{
	uint64_t value;
	int64_t ns;
	int err = parse_digits(&text, 10, &value);

	if (err == -EINVAL)
		return err;
	int64_t unit = parse_duration_unit(text);

	if (!unit && !*text && !err && !value)
		unit = 1;
	if (!unit)
		return -EINVAL;
	if (err || __builtin_mul_overflow(value, unit, &ns))
		return -ERANGE;
	*out_ns = ns;
	return 0;
}

int parse_bool(const char *text, bool *out)
{
	static const char *const words[] = { "no", "false", "off", "0", "yes", "true", "on", "1" };

	for (size_t i = 0; i < 8; i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i >= 4;
			return 0;
		}
	}
	return -EINVAL;
}
