/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/client.h: what is put, on condition, by the piece, in parts, and as a copy. */
#include "config.h"

#include "s3-unit.h"
#include "backend/s3/xml.h"
#include "util/hex.h"

#include <stdatomic.h>

START_TEST(what_a_put_says_of_itself)
{
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(s3_settings_sse(&lab.settings, "aws:kms:my-key"), 0);
	lab_client(&lab, lab_find);
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
	ck_assert_str_eq(server_put_header(lab.server, "x-amz-checksum-sha256"),
			 "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
	ck_assert_str_eq(server_put_header(lab.server, "x-amz-content-sha256"),
			 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
	ck_assert_str_eq(server_put_header(lab.server, "x-amz-server-side-encryption"), "aws:kms");
	ck_assert_str_eq(
		server_put_header(lab.server, "x-amz-server-side-encryption-aws-kms-key-id"),
		"my-key");
	ck_assert_str_eq(server_put_header(lab.server, "if-none-match"), "");
	ck_assert_str_eq(server_put_header(lab.server, "expect"), "");
	lab_close(&lab);
}
END_TEST

static int put_if_absent(struct lab *lab, const char *key, const char *text)
{
	return lab_call(lab,
			(struct s3_request){ .verb = S3_PUT,
					     .key = key,
					     .body = text,
					     .body_len = strlen(text),
					     .if_absent = true },
			UNIT_PATIENCE_MS);
}

START_TEST(conditions_kept)
{
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(put_if_absent(&lab, "k", "first"), 0);
	ck_assert_int_eq(s3_client_conditional(lab.client), S3_CONDITIONAL_UNKNOWN);
	ck_assert_int_eq(put_if_absent(&lab, "k", "second"), -EEXIST);
	ck_assert_int_eq(s3_client_conditional(lab.client), S3_CONDITIONAL_YES);
	ck_assert(lab_holds(&lab, "k", "first", 5));
	lab_close(&lab);
}
END_TEST

/* Where the server answers 501, it is looked first; the answer is remembered. */
START_TEST(conditions_not_known)
{
	struct lab lab;
	unsigned puts;

	lab_open(&lab);
	server_set_conditional(lab.server, false, false);
	ck_assert_int_eq(put_if_absent(&lab, "k", "first"), 0);
	ck_assert_int_eq(s3_client_conditional(lab.client), S3_CONDITIONAL_NO);
	ck_assert(lab_holds(&lab, "k", "first", 5));
	puts = server_requests(lab.server, "PUT");
	ck_assert_int_eq(put_if_absent(&lab, "k", "second"), -EEXIST);
	ck_assert(lab_holds(&lab, "k", "first", 5));
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), puts);
	ck_assert_int_eq(put_if_absent(&lab, "l", "third"), 0);
	ck_assert(lab_holds(&lab, "l", "third", 5));
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), puts + 1);
	lab_close(&lab);
}
END_TEST

struct absent {
	atomic_uint stored, kept, over;
};

static void note_absent(void *arg, const struct s3_reply *reply)
{
	struct absent *a = arg;

	a->stored += reply->err == 0;
	a->kept += reply->err == -EEXIST;
	a->over++;
}

/* Those that were under way when the first answer taught us that are looked up like all others. */
START_TEST(conditions_not_known_by_many)
{
	enum { COUNT = 24 };
	char keys[COUNT][8];
	struct absent a = { 0 };
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(lab_put(&lab, "k0", "there", 5), 0);
	server_set_conditional(lab.server, false, false);
	for (int i = 0; i < COUNT; i++) {
		struct s3_request r = { .verb = S3_PUT,
					.key = keys[i],
					.body = "mine",
					.body_len = 4,
					.if_absent = true,
					.deadline_ns = time_mono_ns() + UNIT_PATIENCE_NS,
					.done = note_absent,
					.arg = &a };

		/* Two of each: who comes second may be told so, or have stored the same. */
		snprintf(keys[i], sizeof(keys[i]), "k%d", i / 2);
		ck_assert_int_eq(s3_client_submit(lab.client, &r, NULL), 0);
	}
	while (a.over < COUNT)
		usleep(1000);
	ck_assert_uint_eq(a.stored + a.kept, COUNT);
	ck_assert_uint_ge(a.kept, 2);
	ck_assert(lab_holds(&lab, "k0", "there", 5));
	ck_assert(lab_holds(&lab, "k1", "mine", 4));
	lab_close(&lab);
}
END_TEST

/* A body that is read by the piece. */
struct source {
	size_t len;
	unsigned calls;
	int err;
};

static int read_source(void *arg, void *buf, size_t len, uint64_t off)
{
	struct source *source = arg;

	source->calls++;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)((off + i) * 7);
	return off + len > source->len / 2 ? source->err : 0;
}

START_TEST(streamed_bodies)
{
	enum { LEN = 3000000 };
	struct source source = { .len = LEN };
	uint8_t *bytes = malloc(LEN), hash[32] = { 0 };
	struct s3_request r = { .verb = S3_PUT,
				.key = "k",
				.read = read_source,
				.read_arg = &source,
				.body_len = LEN };
	struct lab lab;

	lab_open(&lab);
	lab.settings.attempts = 2;
	lab_client(&lab, lab_find);
	read_source(&source, bytes, LEN, 0);
	ck_assert_int_eq(lab_call(&lab, r, UNIT_PATIENCE_MS), -EINVAL);
	/* The server refuses bytes that are not those of the hash. */
	r.sha256 = hash;
	ck_assert_int_eq(lab_call(&lab, r, UNIT_PATIENCE_MS), -EIO);
	ck_assert_str_eq(lab.code, "XAmzContentSHA256Mismatch");
	ck_assert_int_eq(lab_put(&lab, "other", bytes, LEN), 0);
	ck_assert_int_eq(
		hex_decode(server_put_header(lab.server, "x-amz-content-sha256"), 64, hash), 0);
	source.calls = 0;
	ck_assert_int_eq(lab_call(&lab, r, UNIT_PATIENCE_MS), 0);
	ck_assert_uint_gt(source.calls, 3);
	ck_assert(lab_holds(&lab, "k", bytes, LEN));
	source.err = -ENXIO;
	ck_assert_int_eq(lab_call(&lab, r, UNIT_PATIENCE_MS), -ENXIO);
	ck_assert_uint_eq(lab.tries, 1);
	free(bytes);
	lab_close(&lab);
}
END_TEST

struct part {
	struct lab *lab;
	char etag[32], upload[32];
};

static void note_part(void *arg, const struct s3_reply *reply)
{
	struct part *p = arg;

	snprintf(p->etag, sizeof p->etag, "%s", reply->etag);
	(void)s3_xml_read_text(reply->text, reply->text_len, "ETag", p->etag, sizeof p->etag);
	(void)s3_xml_read_text(reply->text, reply->text_len, "UploadId", p->upload,
			       sizeof p->upload);
}

static int part_call(struct part *p, struct s3_request r)
{
	r.done = note_part;
	r.arg = p;
	r.deadline_ns = time_mono_ns() + UNIT_PATIENCE_NS;
	buf_reset(&p->lab->why);
	return s3_client_call(p->lab->client, &r, &p->lab->why);
}

/* A copy by the server, also below a prefix and of a key that has to be encoded; one that fails in the middle of its answer has failed. */
START_TEST(copies)
{
	struct lab lab;
	struct part p = { .lab = &lab };

	lab_open(&lab);
	lab.settings.prefix = (free(lab.settings.prefix), strdup("pre fix"));
	lab_client(&lab, lab_find);
	ck_assert_int_eq(lab_put(&lab, "a b", "bytes", 5), 0);
	ck_assert_int_eq(
		part_call(&p,
			  (struct s3_request){ .verb = S3_COPY, .key = "to/c", .source = "a b" }),
		0);
	ck_assert_str_eq(p.etag, "\"copied\"");
	ck_assert(lab_holds(&lab, "pre fix/to/c", "bytes", 5));
	ck_assert_int_eq(
		part_call(&p, (struct s3_request){ .verb = S3_COPY, .key = "d", .source = "none" }),
		-ENOENT);
	ck_assert_int_eq(part_call(&p, (struct s3_request){ .verb = S3_COPY, .key = "d" }),
			 -EINVAL);
	server_fault(lab.server, (struct fault){ .kind = FAULT_STATUS,
						 .method = "PUT",
						 .status = 200,
						 .code = "InternalError",
						 .count = 1 });
	ck_assert_int_eq(
		part_call(&p, (struct s3_request){ .verb = S3_COPY, .key = "d", .source = "a b" }),
		0);
	ck_assert_uint_eq(server_faults(lab.server), 1);
	server_fault(lab.server, (struct fault){ .kind = FAULT_STATUS,
						 .method = "PUT",
						 .status = 200,
						 .code = "AccessDenied" });
	ck_assert_int_ne(
		part_call(&p, (struct s3_request){ .verb = S3_COPY, .key = "e", .source = "a b" }),
		0);
	lab_close(&lab);
}
END_TEST

START_TEST(parts)
{
	static const char list[] =
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"
		"<Part><PartNumber>2</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>";
	size_t len = 5 << 20, got = 0;
	char *bytes = malloc(len + 4);
	struct lab lab;
	struct part p = { .lab = &lab };

	lab_open(&lab);
	memset(bytes, 'x', len);
	memcpy(bytes + len, "tail", 4);
	ck_assert_int_eq(lab_put(&lab, "tail", "tail", 4), 0);
	ck_assert_int_eq(part_call(&p, (struct s3_request){ .verb = S3_BEGIN, .key = "whole" }), 0);
	ck_assert_str_eq(p.upload, "up+1=");
	ck_assert_int_eq(part_call(&p, (struct s3_request){ .verb = S3_PUT,
							    .key = "whole",
							    .upload = p.upload,
							    .part = 1,
							    .body = bytes,
							    .body_len = len }),
			 0);
	ck_assert_str_eq(p.etag, "\"right\"");
	ck_assert_str_eq(server_put_header(lab.server, "x-amz-checksum-sha256"), "");
	ck_assert_int_eq(part_call(&p, (struct s3_request){ .verb = S3_COPY,
							    .key = "whole",
							    .upload = p.upload,
							    .part = 2,
							    .source = "tail" }),
			 0);
	ck_assert_ptr_null(server_object(lab.server, "whole", &got));
	ck_assert_int_eq(part_call(&p, (struct s3_request){ .verb = S3_END,
							    .key = "whole",
							    .upload = p.upload,
							    .body = list,
							    .body_len = sizeof list - 1 }),
			 0);
	ck_assert(lab_holds(&lab, "whole", bytes, len + 4));
	/* Another is dropped, and nothing of it stays. */
	ck_assert_int_eq(part_call(&p, (struct s3_request){ .verb = S3_PUT,
							    .key = "b",
							    .upload = p.upload,
							    .part = 3,
							    .body = bytes,
							    .body_len = 9 }),
			 0);
	ck_assert(lab_holds(&lab, "~upload/up+1=/00003", bytes, 9));
	ck_assert_int_eq(
		part_call(&p,
			  (struct s3_request){ .verb = S3_DELETE, .key = "b", .upload = p.upload }),
		0);
	ck_assert_ptr_null(server_object(lab.server, "~upload/up+1=/00003", &got));
	free(bytes);
	lab_close(&lab);
}
END_TEST

UNIT_MAIN("s3/client-put", 60, what_a_put_says_of_itself, conditions_kept, conditions_not_known,
	  conditions_not_known_by_many, streamed_bodies, copies, parts)
