/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests that wait, and can be cut short. */
#include "config.h"

#include "library/backup-bucket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/s3/many.h"
#include "backend/s3/xml.h"
#include "util/cleanup.h"
#include "util/time.h"

/* How long a request may take: this, and as long as its bytes take at a rate below which nobody would want a bucket. */
enum { BUCKET_WAIT_S = 60, BUCKET_RATE = 20000, BUCKET_GET_FIRST = 64 << 10 };

struct bucket_call {
	struct backup_bucket *bucket;
	int err;
	int status;
	uint64_t size;
	size_t len;
	struct buf *text; /* LIST, DELETE_MANY */
	bool over;        /* guarded by the bucket's lock */
};

void backup_bucket_init(struct backup_bucket *b, struct s3_client *client)
{
	*b = (struct backup_bucket){ .client = client };
	lock_init(&b->lock, LOCK_RANK_SEALER);
	lock_cond_init(&b->done);
}

void backup_bucket_release(struct backup_bucket *b)
{
	s3_client_free(b->client);
	buf_release(&b->why);
	lock_cond_release(&b->done);
	lock_release(&b->lock);
}

void backup_bucket_cancel(struct backup_bucket *b)
{
	lock_lock(&b->lock);
	bool running = b->running;
	uint64_t ticket = b->ticket;

	b->cancelled = true;
	lock_unlock(&b->lock);
	if (running)
		s3_client_cancel(b->client, ticket);
}

/* By the client's thread. */
static void bucket_done(void *arg, const struct s3_reply *reply)
{
	struct bucket_call *call = arg;
	struct backup_bucket *b = call->bucket;

	call->err = reply->err;
	call->status = reply->status;
	call->size = reply->size;
	call->len = reply->len;
	buf_reset(&b->why);
	if (reply->err)
		buf_add_str(&b->why, reply->why);
	else if (call->text && buf_add(call->text, reply->text, reply->text_len))
		call->err = -ENOMEM;
	lock_lock(&b->lock);
	b->running = false;
	call->over = true;
	lock_cond_broadcast(&b->done);
	lock_unlock(&b->lock);
}

/* The request is submitted with the lock given back, and its ticket known only then: who cancels in between is made up for here. */
static int bucket_call(struct backup_bucket *b, struct s3_request *r, struct bucket_call *call)
{
	uint64_t bytes = r->verb == S3_GET ? r->into_size : r->body_len, ticket = 0;

	call->bucket = b;
	r->done = bucket_done;
	r->arg = call;
	r->deadline_ns = time_mono_ns() +
			 (int64_t)(BUCKET_WAIT_S + bytes / BUCKET_RATE) * TIME_NS_PER_S;
	lock_lock(&b->lock);
	bool cancelled = b->cancelled;

	lock_unlock(&b->lock);
	if (cancelled)
		return -ECANCELED;
	int err = s3_client_submit(b->client, r, &ticket);

	if (err)
		return err;
	lock_lock(&b->lock);
	b->ticket = ticket;
	b->running = !call->over;
	cancelled = b->cancelled;
	lock_unlock(&b->lock);
	if (cancelled)
		s3_client_cancel(b->client, ticket);
	lock_lock(&b->lock);
	while (!call->over)
		lock_cond_wait(&b->done, &b->lock);
	lock_unlock(&b->lock);
	return call->err;
}

/* A part from OFF on, up to LEN bytes of it: appended. *SIZE: of the whole. */
static int bucket_get_part(struct backup_bucket *b, const char *key, uint64_t off, size_t len,
			   struct buf *out, uint64_t *size)
{
	struct bucket_call call = { 0 };
	int err = buf_reserve(out, len);

	if (err)
		return err;
	struct s3_request r = { .verb = S3_GET,
				.key = key,
				.into = out->data + out->len,
				.into_size = len,
				.off = off };

	err = bucket_call(b, &r, &call);
	if (err)
		return err;
	out->len += call.len;
	out->data[out->len] = 0;
	*size = call.size;
	return 0;
}

int backup_bucket_get(struct backup_bucket *b, const char *key, size_t max, struct buf *out)
{
	size_t begun = out->len, first = max < BUCKET_GET_FIRST ? max : BUCKET_GET_FIRST;
	uint64_t size = 0, whole = 0;
	int err = bucket_get_part(b, key, 0, first, out, &size);

	if (!err && size > max)
		err = -EFBIG;
	if (!err && size > out->len - begun)
		err = bucket_get_part(b, key, out->len - begun, (size_t)size - (out->len - begun),
				      out, &whole);
	/* One that was replaced in between. */
	if (!err && out->len - begun != size)
		err = -EIO;
	return err;
}

int backup_bucket_put(struct backup_bucket *b, const char *key, const void *bytes, size_t len,
		      bool if_absent)
{
	struct bucket_call call = { 0 };
	struct s3_request r = {
		.verb = S3_PUT, .key = key, .body = bytes, .body_len = len, .if_absent = if_absent
	};

	return bucket_call(b, &r, &call);
}

int backup_bucket_delete(struct backup_bucket *b, const char *key)
{
	struct bucket_call call = { 0 };
	struct s3_request r = { .verb = S3_DELETE, .key = key };

	return bucket_call(b, &r, &call);
}

struct bucket_many {
	struct backup_bucket *bucket;
	const char *const *keys;
	size_t count;
	bool *gone;
};

static int bucket_left(void *arg, const char *key, const char *code)
{
	struct bucket_many *m = arg;
	struct backup_bucket *b = m->bucket;

	size_t i = 0;

	while (i < m->count && strcmp(m->keys[i], key) != 0)
		i++;
	if (i == m->count)
		return -EPROTO;
	m->gone[i] = false;
	if (b->why.len)
		return 0;
	int err = s3_settings_show(s3_client_settings(b->client), &b->why);

	return err ? err : buf_printf(&b->why, "/%s: DELETE: %s", key, code);
}

/* With one request. -EOPNOTSUPP: the server does not know it. */
static int bucket_delete_together(struct bucket_many *m)
{
	struct backup_bucket *b = m->bucket;
	const struct s3_settings *settings = s3_client_settings(b->client);
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct bucket_call call = { .text = &text };
	int err = s3_many_body(settings, m->keys, m->count, &body);

	if (err)
		return err;
	struct s3_request r = {
		.verb = S3_DELETE_MANY, .key = m->keys[0], .body = body.data, .body_len = body.len
	};

	err = bucket_call(b, &r, &call);
	/* There is no one answer by which servers say that they do not know it. */
	if (err == -EOPNOTSUPP || (err && (call.status == 400 || call.status == 411)))
		return -EOPNOTSUPP;
	if (err)
		return err;
	for (size_t i = 0; i < m->count; i++)
		m->gone[i] = true;
	err = s3_many_read(settings, buf_str(&text), text.len, bucket_left, m);
	for (size_t i = 0; i < m->count && err; i++)
		m->gone[i] = false;
	return err;
}

static int bucket_delete_each(struct bucket_many *m)
{
	int err = 0;

	for (size_t i = 0; i < m->count && !err; i++) {
		err = backup_bucket_delete(m->bucket, m->keys[i]);
		err = err == -ENOENT ? 0 : err;
		m->gone[i] = !err;
	}
	return err;
}

int backup_bucket_delete_many(struct backup_bucket *b, const char *const *keys, size_t count,
			      bool *gone)
{
	struct bucket_many m = { b, keys, count, gone };
	int err = 0;

	memset(gone, 0, count * sizeof(*gone));
	if (!count)
		return 0;
	if (!b->one_by_one) {
		err = bucket_delete_together(&m);
		if (err != -EOPNOTSUPP)
			return err;
	}
	err = bucket_delete_each(&m);
	/* Only who deletes one shows that it was the request that was not known. */
	b->one_by_one = b->one_by_one || !err;
	return err;
}

struct bucket_list {
	size_t skip; /* of each key: the library's prefix */
	backup_bucket_fn *fn;
	void *arg;
	struct buf last; /* the key that came last, without that */
};

/* Pages out of order would loop or skip. */
static int bucket_key(void *arg, const char *key, uint64_t size)
{
	struct bucket_list *l = arg;
	int err;

	if (strlen(key) <= l->skip ||
	    (l->last.len && strcmp(buf_str(&l->last), key + l->skip) >= 0))
		return -EPROTO;
	buf_reset(&l->last);
	err = buf_add_str(&l->last, key + l->skip);
	return err ? err : l->fn(l->arg, buf_str(&l->last), size);
}

int backup_bucket_list(struct backup_bucket *b, const char *prefix, backup_bucket_fn *fn, void *arg)
{
	const char *own = s3_client_settings(b->client)->prefix;
	struct bucket_list l = { .skip = *own ? strlen(own) + 1 : 0, .fn = fn, .arg = arg };
	CLEANUP_BUF struct buf text = BUF_INIT;
	bool more = true;
	int err = 0;

	while (more && !err) {
		CLEANUP_BUF struct buf after = BUF_INIT;
		struct bucket_call call = { .text = &text };
		struct s3_request r = { .verb = S3_LIST, .key = prefix };

		buf_reset(&text);
		err = buf_add_str(&after, buf_str(&l.last));
		r.after = after.len ? buf_str(&after) : NULL;
		if (!err)
			err = bucket_call(b, &r, &call);
		if (!err)
			err = s3_xml_read_page(buf_str(&text), text.len, bucket_key, &l, &more);
		if (err == -EBADMSG)
			err = -EPROTO;
	}
	buf_release(&l.last);
	return err;
}
