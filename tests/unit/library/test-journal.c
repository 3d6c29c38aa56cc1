/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every change leaves its row in the journal, with who, what, where; names of any bytes without
 * loss.
 */
#include "config.h"

#include "library/journal.h"
#include "library/report.h"
#include "tree-unit.h"

START_TEST(quoting)
{
	static const struct {
		const char *bytes, *json;
		size_t len;
	} cases[] = { { "", "\"\"", 0 },
		      { "plain \xc3\xa4 \xf0\x9f\x8d\x8e", "\"plain \xc3\xa4 \xf0\x9f\x8d\x8e\"",
			13 },
		      { "a\"b\\c", "\"a\\\"b\\\\c\"", 5 },
		      { "\n\0\x7f", "\"\\u000a\\u0000\\u007f\"", 3 },
		      { "\x80\xff", "\"\\udc80\\udcff\"", 2 },
		      { "\xc3(", "\"\\udcc3(\"", 2 },
		      { "\xed\xb2\x80", "\"\\udced\\udcb2\\udc80\"", 3 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT;

		ck_assert_int_eq(journal_quote(&out, cases[i].bytes, cases[i].len), 0);
		ck_assert_str_eq(out.data, cases[i].json);
	}
}
END_TEST

struct trail {
	int count;
	char text[4096];
};

static int trail_event(void *arg, const struct report_event *e)
{
	struct trail *trail = arg;
	size_t at = strlen(trail->text);

	ck_assert_uint_eq(e->actor, 1000);
	ck_assert_int_gt(e->version, 0);
	snprintf(trail->text + at, sizeof(trail->text) - at, "%s%s:%lld/%.*s<%lld/%.*s|%s|%s",
		 at ? "\n" : "", e->action, (long long)e->parent, (int)e->len,
		 e->name ? e->name : "", (long long)e->old_parent, (int)e->old_len,
		 e->old_name ? e->old_name : "", e->before ? e->before : "",
		 e->after ? e->after : "");
	trail->count++;
	return 0;
}

START_TEST(a_life)
{
	struct node values = { .mode = 0600 };
	struct trail trail = { 0 };
	struct tree_unit u;
	int64_t asset;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "a");
	tree_unit_seal(&u, asset, 10);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", TREE_ROOT, "\xff", 0), 0);
	ck_assert_int_eq(tree_set(u.lib, &u.who, asset, TREE_SET_MODE, &values, NULL), 0);
	ck_assert_int_eq(tree_xattr_set(u.lib, &u.who, asset, "user.\xfe", "abc", 3, 0), 0);
	ck_assert_int_eq(tree_unit_link(&u, asset, TREE_ROOT, "b"), 0);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "b"), 0);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "\xff"), 0);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, asset, NULL), 0);
	ck_assert_int_ge(report_events(u.lib, asset, trail_event, &trail), 0);
	ck_assert_str_eq(
		trail.text,
		"create:1/a<0/||{\"kind\":\"asset\",\"mode\":\"0644\",\"uid\":1000,\"gid\":100}\n"
		"rename:1/\xff<1/a||\n"
		"set:0/<0/|{\"mode\":\"0644\"}|{\"mode\":\"0600\"}\n"
		"xattr:0/<0/||{\"name\":\"user.\\udcfe\",\"bytes\":3}\n"
		"link:1/b<0/||\n"
		"unlink:1/b<0/||\n"
		"unlink:1/\xff<0/||\n"
		"restore:1/\xff<0/||");
	tree_unit_end(&u);
}
END_TEST

UNIT_MAIN("journal", 30, quoting, a_life)
