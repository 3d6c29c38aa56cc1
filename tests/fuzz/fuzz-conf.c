/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Configuration files: read, or refused with one line that says why; values asked for are read or
 * refused alike.
 */
#include "config.h"

#include "fuzz.h"
#include "util/cleanup.h"
#include "util/conf.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_SEED("# a library\nname = x ; y\n[a]\nb = 4MiB\n  c=30d\n\tb = yes\r\n[d]\nb = 17\n"),
	FUZZ_SEED("[a]\nb = 18446744073709551615\n"),
	FUZZ_SEED("\xef\xbb\xbf[a]\nb: 9223372036s\n\n;\n"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

/* `why` is one line, and there where something was refused. */
static void check_why(int err, struct buf *why)
{
	assert(err == 0 || err == 1 || err == -EINVAL);
	assert(err != -EINVAL || (why->len && !strchr(buf_str(why), '\n')));
	buf_reset(why);
}

static void ask(struct conf *c, const char *section, const char *key, struct buf *why)
{
	uint64_t number = 0;
	int64_t time = 0;
	bool truth;

	check_why(conf_size(c, section, key, &number, why), why);
	check_why(conf_u64(c, section, key, 65535, &number, why), why);
	check_why(conf_duration(c, section, key, &time, why), why);
	check_why(conf_bool(c, section, key, &truth, why), why);
	assert(time >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct conf *c = NULL;

	int err = buf_add(&text, data, len);

	assert(!err);
	err = conf_parse("conf", buf_str(&text), &c, &why);
	check_why(err, &why);
	if (err)
		return 0;
	ask(c, "", "name", &why);
	ask(c, "a", "b", &why);
	ask(c, "a", "c", &why);
	ask(c, "d", "b", &why);
	check_why(conf_check(c, &why), &why);
	conf_free(c);
	return 0;
}
