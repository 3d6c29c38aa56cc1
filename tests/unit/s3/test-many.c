/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/many.h: what DeleteObjects is sent, what it answers, and both with a server. */
#include "config.h"

#include "backend/s3/many.h"
#include "s3-unit.h"
#include "util/cleanup.h"

#define ANSWER(inside)                                                                             \
	"<?xml version=\"1.0\"?>\n<DeleteResult xmlns=\"x\">" inside "</DeleteResult>"
#define LEFT(key, code)                                                                            \
	"<Error><Key>" key "</Key><Code>" code "</Code><Message>why &amp; how</Message></Error>"

struct left {
	unsigned count;
	char key[64], code[64]; /* of the last */
	int result;
};

static int note_left(void *arg, const char *key, const char *code)
{
	struct left *left = arg;

	left->count++;
	snprintf(left->key, sizeof left->key, "%s", key);
	snprintf(left->code, sizeof left->code, "%s", code);
	return left->result;
}

START_TEST(names_are_written_as_xml)
{
	const char *keys[] = { "chunks/1", "a<b>&c" };
	struct s3_settings s = { .bucket = (char[]){ "b" }, .prefix = (char[]){ "x&y" } };
	CLEANUP_BUF struct buf body = BUF_INIT;

	ck_assert_int_eq(s3_many_body(&s, keys, 2, &body), 0);
	ck_assert_ptr_nonnull(strstr(body.data, "<Object><Key>x&amp;y/chunks/1</Key></Object>"));
	ck_assert_ptr_nonnull(strstr(body.data, "<Key>x&amp;y/a&lt;b&gt;&amp;c</Key>"));
	ck_assert_ptr_nonnull(strstr(body.data, "<Quiet>true</Quiet>"));
}
END_TEST

START_TEST(an_answer_names_what_is_left)
{
	static const char text[] = ANSWER("<Deleted><Key>lib/a</Key></Deleted>" LEFT(
		"lib/b", "AccessDenied") LEFT("lib/c", "NoSuchKey"));
	struct s3_settings s = { .prefix = (char[]){ "lib" } };
	struct left left = { .count = 0 };

	ck_assert_int_eq(s3_many_read(&s, text, strlen(text), note_left, &left), 0);
	ck_assert_uint_eq(left.count, 1);
	ck_assert_str_eq(left.key, "b");
	ck_assert_str_eq(left.code, "AccessDenied");
	left = (struct left){ .result = 7 };
	ck_assert_int_eq(s3_many_read(&s, text, strlen(text), note_left, &left), 7);
	/* Not whole, or something else: nothing is told, and nothing taken for deleted. */
	left = (struct left){ .count = 0 };
	for (size_t len = 0; len < strlen(text); len++)
		ck_assert_int_eq(s3_many_read(&s, text, len, note_left, &left), -EPROTO);
	ck_assert_int_eq(s3_many_read(&s, "<Error><Code>x</Code></Error>", 29, note_left, &left),
			 -EPROTO);
	ck_assert_uint_eq(left.count, 0);
}
END_TEST

static void take_text(void *arg, const struct s3_reply *reply)
{
	if (!reply->err)
		buf_add(arg, reply->text, reply->text_len);
}

static int delete_many(struct lab *lab, const char *const *keys, size_t count, struct left *left)
{
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;

	ck_assert_int_eq(s3_many_body(&lab->settings, keys, count, &body), 0);
	struct s3_request r = { .verb = S3_DELETE_MANY,
				.key = keys[0],
				.deadline_ns = time_mono_ns() + 30 * TIME_NS_PER_S,
				.done = take_text,
				.arg = &text,
				.body = body.data,
				.body_len = body.len };
	int err = s3_client_call(lab->client, &r, NULL);

	return err ? err : s3_many_read(&lab->settings, buf_str(&text), text.len, note_left, left);
}

START_TEST(a_server_deletes_many)
{
	const char *keys[] = { "k1", "k2-denied", "k3", "never" };
	struct left left = { .count = 0 };
	struct lab lab;

	lab_open(&lab);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(lab_put(&lab, keys[i], "x", 1), 0);
	ck_assert_int_eq(lab_put(&lab, "k4", "x", 1), 0);
	ck_assert_int_eq(delete_many(&lab, keys, 4, &left), 0);
	ck_assert_uint_eq(left.count, 1);
	ck_assert_str_eq(left.key, "k2-denied");
	ck_assert(!lab_holds(&lab, "k1", "x", 1) && !lab_holds(&lab, "k3", "x", 1));
	ck_assert(lab_holds(&lab, "k2-denied", "x", 1) && lab_holds(&lab, "k4", "x", 1));
	/* The answer is lost: asked again, which does no harm. */
	server_fault(lab.server,
		     (struct fault){ .kind = FAULT_LOST_REPLY, .method = "POST", .count = 1 });
	keys[1] = "k4";
	ck_assert_int_eq(delete_many(&lab, keys, 4, &left), 0);
	ck_assert(!lab_holds(&lab, "k4", "x", 1));
	server_set_delete_many(lab.server, false);
	ck_assert_int_eq(delete_many(&lab, keys, 4, &left), -EOPNOTSUPP);
	lab_close(&lab);
}
END_TEST

UNIT_MAIN("many", 60, names_are_written_as_xml, an_answer_names_what_is_left, a_server_deletes_many)
