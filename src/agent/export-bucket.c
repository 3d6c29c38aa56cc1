/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One object of parts (Amazon S3 User Guide, "Uploading and copying objects using multipart upload"): 5 MiB at least but for the last, 10000 at most. Chunks are smaller than that on average: those that are large
 * enough are copied by the server, what lies between them is gathered until it makes a part. What is small is sent whole; what is one chunk is one copy.
 */
#include "config.h"

#include "agent/export-bucket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/s3/xml.h"
#include "content/hash.h"
#include "content/view.h"
#include "library/internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/hex.h"
#include "util/time.h"

enum {
	BUCKET_PART = 5 << 20,
	BUCKET_PARTS = 9000, /* so many are counted on: gathered parts are larger than need be */
	BUCKET_PARTS_MAX = 10000,
	BUCKET_PART_MAX = 256 << 20, /* gathered in memory */
	BUCKET_WAIT_S = 300,
	BUCKET_RATE = 20000, /* bytes/s below which nobody waits */
	BUCKET_ROWS = 256,
	BUCKET_TRIES = 3,
	BUCKET_ID = 2048,
	BUCKET_ETAG = 80,
};

struct bucket_chunk {
	int64_t idx;
	uint64_t start, len;
	bool hole, remote;
	struct hash hash;
};

struct bucket_export {
	struct library *lib;
	struct s3_client *client;
	const char *key; /* whole, below the prefix */
	struct buf *why;
	struct view *view;
	int64_t object;
	uint64_t size, min; /* of the content; of a part */
	char upload[BUCKET_ID];
	struct buf pending; /* bytes that make no part yet */
	struct buf list;    /* of parts, as XML */
	unsigned part;      /* the last that was made */
	struct export_bucket_stats stats;
	/* The page of chunks at hand. */
	struct bucket_chunk rows[BUCKET_ROWS];
	size_t count;
};

/* What an answer said that is needed further on. */
struct bucket_answer {
	char etag[BUCKET_ETAG], upload[BUCKET_ID];
};

static void bucket_note(void *arg, const struct s3_reply *reply)
{
	struct bucket_answer *a = arg;

	if (reply->err)
		return;
	snprintf(a->etag, sizeof(a->etag), "%s", reply->etag);
	(void)s3_xml_read_text(reply->text, reply->text_len, "ETag", a->etag, sizeof(a->etag));
	(void)s3_xml_read_text(reply->text, reply->text_len, "UploadId", a->upload,
			       sizeof(a->upload));
}

static int bucket_call(struct bucket_export *x, struct s3_request *r, struct bucket_answer *a)
{
	*a = (struct bucket_answer){ .etag = "" };
	r->key = x->key;
	r->upload = *x->upload ? x->upload : NULL;
	r->done = bucket_note;
	r->arg = a;
	r->deadline_ns = time_mono_ns() +
			 (int64_t)(BUCKET_WAIT_S + r->body_len / BUCKET_RATE) * TIME_NS_PER_S;
	buf_reset(x->why);
	return s3_client_call(x->client, r, x->why);
}

/* A part is there: it goes onto the list. Quotes of an ETag are escaped, as XML wants it. */
static int bucket_part_done(struct bucket_export *x, const struct bucket_answer *a)
{
	const char *etag = a->etag + (*a->etag == '"');
	size_t len = strcspn(etag, "\"<>&");

	x->stats.parts++;
	return buf_printf(&x->list,
			  "<Part><PartNumber>%u</PartNumber><ETag>&quot;%.*s&quot;</ETag></Part>",
			  x->part, (int)len, etag);
}

static int bucket_begin(struct bucket_export *x)
{
	struct s3_request r = { .verb = S3_BEGIN };
	struct bucket_answer a;
	int err = bucket_call(x, &r, &a);

	if (!err && !*a.upload)
		err = -EPROTO;
	if (!err)
		memcpy(x->upload, a.upload, sizeof(x->upload));
	return err;
}

static int bucket_end(struct bucket_export *x)
{
	CLEANUP_BUF struct buf body = BUF_INIT;
	struct bucket_answer a;
	int err = buf_printf(&body, "<CompleteMultipartUpload>%s</CompleteMultipartUpload>",
			     buf_str(&x->list));
	struct s3_request r = { .verb = S3_END, .body = body.data, .body_len = body.len };

	return err ? err : bucket_call(x, &r, &a);
}

/* Parts that no object was made of would stay, and be paid for. */
static void bucket_drop(struct bucket_export *x)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct bucket_export gone = *x;
	struct s3_request r = { .verb = S3_DELETE };
	struct bucket_answer a;

	gone.why = &why;
	if (*x->upload)
		(void)bucket_call(&gone, &r, &a);
	buf_release(&why);
}

/* Sends what was gathered: as a part, or, without an upload, as all there is. */
static int bucket_send(struct bucket_export *x)
{
	struct s3_request r = { .verb = S3_PUT,
				.body = buf_str(&x->pending),
				.body_len = x->pending.len };
	struct bucket_answer a;

	if (*x->upload && ++x->part > BUCKET_PARTS_MAX)
		return -EFBIG;
	r.part = x->part;
	int err = bucket_call(x, &r, &a);

	buf_reset(&x->pending);
	return err || !*x->upload ? err : bucket_part_done(x, &a);
}

/* Has the server copy a chunk that it has: 1, or 0 where it has it not or cannot. */
static int bucket_copy(struct bucket_export *x, const struct bucket_chunk *c)
{
	char source[sizeof("chunks/") + 2 * sizeof(c->hash.b)] = "chunks/";
	struct s3_request r = { .verb = S3_COPY, .source = source };
	struct bucket_answer a;

	if (*x->upload && ++x->part > BUCKET_PARTS_MAX)
		return -EFBIG;
	hex_encode(c->hash.b, sizeof(c->hash.b), source + strlen("chunks/"));
	r.part = x->part;
	int err = bucket_call(x, &r, &a);

	if (err == -ENOENT || err == -EOPNOTSUPP) {
		x->part -= *x->upload != 0;
		return 0;
	}
	if (!err && *x->upload)
		err = bucket_part_done(x, &a);
	x->stats.copied += err ? 0 : c->len;
	return err ? err : 1;
}

static int bucket_view(struct bucket_export *x)
{
	struct view *view = NULL;
	int err = view_of_object(library_content(x->lib), x->object, &view);

	if (err)
		return err;
	view_put(x->view);
	x->view = view;
	return 0;
}

/* Reads a chunk onto the end of what was gathered, and checks it. Another process may move it meanwhile: then it is looked for anew. */
static int bucket_gather(struct bucket_export *x, const struct bucket_chunk *c)
{
	char *at;
	int err = buf_reserve(&x->pending, c->len);

	if (err)
		return err;
	at = x->pending.data + x->pending.len;
	for (int i = 0; i < BUCKET_TRIES; i++) {
		struct hash got;
		ssize_t n = view_read(x->view, at, c->len, c->start);

		err = n < 0 ? (int)n : hash_data(x->lib->algo, at, (size_t)n, &got);
		if (!err && ((uint64_t)n != c->len || !hash_equal(&got, &c->hash)))
			err = ERR_CORRUPT;
		if (err != ERR_CORRUPT && err != -EIO)
			break;
		if (bucket_view(x))
			break;
	}
	if (!err)
		x->pending.len += c->len;
	return err;
}

/* Zeros, which may be many more than there is memory for. */
static int bucket_hole(struct bucket_export *x, uint64_t len)
{
	int err = 0;

	while (len && !err) {
		size_t some = len < BUCKET_PART ? (size_t)len : BUCKET_PART;

		err = buf_reserve(&x->pending, some);
		if (err)
			break;
		memset(x->pending.data + x->pending.len, 0, some);
		x->pending.len += some;
		len -= some;
		if (*x->upload && x->pending.len >= x->min)
			err = bucket_send(x);
	}
	return err;
}

static int bucket_add(struct bucket_export *x, const struct bucket_chunk *c)
{
	int copied = 0;

	if (c->hole)
		return bucket_hole(x, c->len);
	if (*x->upload && c->remote && !x->pending.len && c->len >= x->min)
		copied = bucket_copy(x, c);
	if (copied)
		return copied < 0 ? copied : 0;
	int err = bucket_gather(x, c);

	return !err && *x->upload && x->pending.len >= x->min ? bucket_send(x) : err;
}

static int bucket_row(void *arg, const struct meta_row *row)
{
	struct bucket_export *x = arg;
	struct bucket_chunk *c = &x->rows[x->count++];
	size_t len;
	const void *name = meta_row_bytes(row, 3, &len);

	*c = (struct bucket_chunk){ .idx = meta_row_int(row, 0),
				    .start = (uint64_t)meta_row_int(row, 1),
				    .len = (uint64_t)meta_row_int(row, 2),
				    .hole = !name,
				    .remote = meta_row_int(row, 4) != 0 };
	if (name && len == sizeof(c->hash.b))
		memcpy(c->hash.b, name, len);
	return 0;
}

/* The chunks from number FIRST on, as many as there is room for. */
static int bucket_rows(struct bucket_export *x, int64_t first)
{
	x->count = 0;
	int rows = META_QUERY(library_meta(x->lib), EXPORT_REMOTE, bucket_row, x, META_I(x->object),
			      META_I(first), META_I(BUCKET_ROWS));

	return rows < 0 ? rows : 0;
}

static int bucket_all(struct bucket_export *x)
{
	int err = bucket_rows(x, 0);

	while (!err && x->count) {
		for (size_t i = 0; i < x->count && !err; i++)
			err = bucket_add(x, &x->rows[i]);
		if (!err)
			err = bucket_rows(x, x->rows[x->count - 1].idx + 1);
	}
	return err;
}

/* Content that is one chunk, which the bucket has: 1 when it was copied as it is. */
static int bucket_one(struct bucket_export *x)
{
	int err = bucket_rows(x, 0);

	if (err || x->count != 1 || !x->rows[0].remote || x->rows[0].hole ||
	    x->rows[0].len != x->size)
		return err;
	return bucket_copy(x, &x->rows[0]);
}

static int bucket_make(struct bucket_export *x)
{
	int err = bucket_one(x);

	if (err)
		return err < 0 ? err : 0;
	if (x->min > BUCKET_PART_MAX)
		return -EFBIG;
	if (x->size > x->min)
		err = bucket_begin(x);
	if (!err)
		err = bucket_all(x);
	if (!err && (x->pending.len || !*x->upload))
		err = bucket_send(x);
	if (!err && *x->upload)
		err = bucket_end(x);
	if (err)
		bucket_drop(x);
	return err;
}

int export_to_bucket(struct library *lib, const struct node *n, const char *key,
		     struct export_bucket_stats *out, struct buf *why)
{
	CLEANUP_BUF struct buf whole = BUF_INIT;
	struct bucket_export *x;
	int err = buf_printf(&whole, EXPORT_BUCKET_FOLDER "%s", key);

	if (n->kind != NODE_ASSET)
		return -EISDIR;
	if (!n->object && (n->draft || n->size))
		return -ENODATA;
	x = err ? NULL : calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->lib = lib;
	x->key = buf_str(&whole);
	x->why = why;
	x->object = n->object;
	err = library_s3_client(lib, 0, &x->client);
	if (err == -ENOENT)
		err = -ENODEV;
	if (!err)
		err = n->object ? bucket_view(x) : view_of_zeros(0, &x->view);
	if (!err) {
		x->size = x->view->size;
		x->min = x->size / BUCKET_PARTS > BUCKET_PART ? x->size / BUCKET_PARTS
							      : BUCKET_PART;
		err = bucket_make(x);
	}
	x->stats.bytes = x->size;
	*out = x->stats;
	view_put(x->view);
	s3_client_free(x->client);
	buf_release(&x->pending);
	buf_release(&x->list);
	free(x);
	return err;
}
