/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The driver over a bucket. */
#include "config.h"

#include "backend/store/store-s3.h"
#include "backend/s3/xml.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/time.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 60 * 1000 };

#define FOLDER STORE_S3_CHUNKS
#define KEY_LEN STORE_S3_KEY_LEN

struct store_s3 {
	struct store store;
	struct s3_client *client;
	store_verify_fn *verify;
	void *verify_arg;
	unsigned timeout_ms;
};

static struct store_s3 *s3_of(struct store *s)
{
	return (struct store_s3 *)s;
}

void store_s3_key(const char *folder, const uint8_t name[STORE_NAME_LEN],
		  char key[STORE_S3_KEY_LEN])
{
	size_t len = strlen(folder);

	assert(len < sizeof STORE_S3_MANIFESTS);
	memcpy(key, folder, len);
	hex_encode(name, STORE_NAME_LEN, key + len);
}

/* What all keys of the client begin with, before the folder. */
static size_t prefix_len_of(const struct s3_client *c)
{
	const char *prefix = s3_client_settings(c)->prefix;

	return *prefix ? strlen(prefix) + 1 : 0;
}

static void key_of(const uint8_t *name, char key[KEY_LEN])
{
	store_s3_key(FOLDER, name, key);
}

bool store_s3_name(const struct s3_client *c, const char *folder, const char *key,
		   uint8_t name[STORE_NAME_LEN])
{
	size_t skip = strlen(folder), prefix_len = prefix_len_of(c);

	/* The prefix itself was asked for. */
	if (strlen(key) != prefix_len + skip + 2 * STORE_NAME_LEN ||
	    memcmp(key + prefix_len, folder, skip))
		return false;
	key += prefix_len + skip;
	return strspn(key, "0123456789abcdef") == 2 * STORE_NAME_LEN &&
	       !hex_decode(key, 2 * STORE_NAME_LEN, name);
}

static int64_t deadline(const struct store_s3 *s)
{
	return time_mono_ns() + s->timeout_ms * TIME_NS_PER_MS;
}

static void s3_close(struct store *store)
{
	struct store_s3 *s = s3_of(store);

	s3_client_free(s->client);
	free(s);
}

/* Waits for a request; what is no expected outcome is logged. */
static int call(struct store_s3 *s, struct s3_request *r)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	int err;

	r->deadline_ns = deadline(s);
	err = s3_client_call(s->client, r, &why);
	if (err && err != -ENOENT)
		log_error("%s", buf_str(&why));
	return err;
}

static void note_size(void *arg, const struct s3_reply *reply)
{
	uint64_t *size = arg;

	*size = reply->size;
}

static int s3_stat(struct store *store, const uint8_t *name, struct store_info *out)
{
	char key[KEY_LEN];
	uint64_t size = 0;
	struct s3_request r = { .verb = S3_STAT, .key = key, .done = note_size, .arg = &size };
	int err;

	key_of(name, key);
	err = call(s3_of(store), &r);
	if (!err)
		out->size = size;
	return err;
}

static int s3_has(struct store *store, const uint8_t *name)
{
	struct store_info info;
	int err = s3_stat(store, name, &info);

	if (err == -ENOENT)
		return 0;
	return err ? err : 1;
}

/* What a get gave: the part that was asked for, up to the chunk's end. */
static ssize_t count_of(const struct s3_reply *reply, size_t asked, uint64_t off)
{
	uint64_t rest;

	if (reply->err)
		return reply->err;
	rest = off < reply->size ? reply->size - off : 0;
	if (reply->len != (asked < rest ? asked : rest))
		return -EIO;
	return (ssize_t)reply->len;
}

struct getting {
	size_t asked;
	uint64_t off;
	ssize_t count;
};

static void note_count(void *arg, const struct s3_reply *reply)
{
	struct getting *g = arg;

	g->count = count_of(reply, g->asked, g->off);
}

/* The bytes that a chunk of any size has before and behind the range of offsets: none. */
static ssize_t get_nothing(struct store *store, const uint8_t *name)
{
	struct store_info info;

	return s3_stat(store, name, &info);
}

static ssize_t s3_get(struct store *store, const uint8_t *name, void *buf, size_t len, uint64_t off)
{
	struct getting g = { .asked = len, .off = off };
	char key[KEY_LEN];
	struct s3_request r = { .verb = S3_GET,
				.key = key,
				.into = buf,
				.into_size = len,
				.off = off,
				.done = note_count,
				.arg = &g };
	int err;

	if (off > INT64_MAX - len)
		return get_nothing(store, name);
	key_of(name, key);
	err = call(s3_of(store), &r);
	return err ? err : g.count;
}

static int s3_put(struct store *store, const uint8_t *name, const void *bytes, size_t len)
{
	struct store_s3 *s = s3_of(store);
	uint8_t hash[S3_HASH_LEN];
	char key[KEY_LEN];
	struct s3_request r = {
		.verb = S3_PUT, .key = key, .body = bytes, .body_len = len, .sha256 = hash
	};

	if (!EVP_Digest(bytes, len, hash, NULL, EVP_sha256(), NULL))
		return -EIO;
	/* A name that is the SHA-256 of the bytes is right without a second look. */
	if (memcmp(hash, name, STORE_NAME_LEN) && !s->verify(s->verify_arg, name, bytes, len))
		return -EBADMSG;
	key_of(name, key);
	return call(s, &r);
}

/* S3 deletes what is not there, too, and does not tell. */
static int s3_del(struct store *store, const uint8_t *name)
{
	struct store_info info;
	char key[KEY_LEN];
	struct s3_request r = { .verb = S3_DELETE, .key = key };
	int err = s3_stat(store, name, &info);

	if (err)
		return err;
	key_of(name, key);
	return call(s3_of(store), &r);
}

struct listing {
	struct buf text;
	int err; /* of keeping the text */

	const struct s3_client *client;
	store_list_fn *fn;
	void *arg;
	bool begun;
	uint8_t last[STORE_NAME_LEN];
};

static void note_page(void *arg, const struct s3_reply *reply)
{
	struct listing *l = arg;

	l->err = buf_add(&l->text, reply->text, reply->text_len);
}

/* A key that is no chunk's is someone else's. Pages out of order would loop or skip. */
static int take_key(void *arg, const char *key, uint64_t size)
{
	struct listing *l = arg;
	uint8_t name[STORE_NAME_LEN];

	if (!store_s3_name(l->client, FOLDER, key, name))
		return 0;
	if (l->begun && memcmp(l->last, name, STORE_NAME_LEN) >= 0)
		return -EPROTO;
	l->begun = true;
	memcpy(l->last, name, STORE_NAME_LEN);
	return l->fn(l->arg, name, size);
}

/* The key that the next page begins after: of a chunk or not, the last that came. */
static int note_key(void *arg, const char *key, uint64_t size)
{
	struct buf *last = arg;

	(void)size;
	buf_reset(last);
	return buf_add_str(last, key);
}

static int list_page(struct store_s3 *s, struct listing *l, struct buf *after, size_t prefix_len,
		     bool *more)
{
	CLEANUP_BUF struct buf last = BUF_INIT;
	struct s3_request r = { .verb = S3_LIST,
				.key = FOLDER,
				.after = after->len ? buf_str(after) : NULL,
				.done = note_page,
				.arg = l };
	int err;

	buf_reset(&l->text);
	err = call(s, &r);
	if (!err)
		err = l->err;
	if (!err)
		err = s3_xml_read_page(buf_str(&l->text), l->text.len, note_key, &last, more);
	if (err == -EBADMSG || (!err && *more && last.len <= prefix_len)) {
		log_error("s3://%s: a page of the list cannot be read",
			  s3_client_settings(s->client)->bucket);
		err = -EPROTO;
	}
	if (err)
		return err;
	buf_reset(after);
	if (last.len > prefix_len)
		err = buf_add_str(after, buf_str(&last) + prefix_len);
	return err ? err : s3_xml_read_page(buf_str(&l->text), l->text.len, take_key, l, more);
}

static int s3_list(struct store *store, const uint8_t *after, store_list_fn *fn, void *arg)
{
	struct store_s3 *s = s3_of(store);
	size_t prefix_len = prefix_len_of(s->client);
	struct listing l = { .client = s->client, .fn = fn, .arg = arg };
	CLEANUP_BUF struct buf from = BUF_INIT;
	char key[KEY_LEN];
	bool more = true;
	int result = 0;

	if (after) {
		l.begun = true;
		memcpy(l.last, after, STORE_NAME_LEN);
		key_of(after, key);
		result = buf_add_str(&from, key);
	}
	while (!result && more)
		result = list_page(s, &l, &from, prefix_len, &more);
	buf_release(&l.text);
	return result;
}

static ssize_t s3_url(struct store *store, const uint8_t *name, unsigned seconds, char *out,
		      size_t size)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	struct store_s3 *s = s3_of(store);
	char key[KEY_LEN];
	int err;

	key_of(name, key);
	err = s3_client_presign(s->client, key, seconds, deadline(s), &url);
	if (err)
		return err;
	if (url.len >= size)
		return -ERANGE;
	memcpy(out, buf_str(&url), url.len + 1);
	return (ssize_t)url.len;
}

static int s3_scan(struct store *store, const uint8_t *name)
{
	struct store_s3 *s = s3_of(store);
	struct store_info info = { 0 };
	CLEANUP_FREE void *bytes = NULL;
	ssize_t count = 0;
	int err = s3_stat(store, name, &info);

	if (err)
		return err;
	if (info.size == 0 || info.size > UINT32_MAX)
		return ERR_CORRUPT;
	bytes = malloc(info.size + 1);
	if (!bytes)
		return -ENOMEM;
	/* One byte more, so that one that grew meanwhile is not taken for damaged in its beginning. */
	count = s3_get(store, name, bytes, info.size + 1, 0);
	if (count < 0)
		return (int)count;
	return count > 0 && s->verify(s->verify_arg, name, bytes, (size_t)count) ? 0 : ERR_CORRUPT;
}

/* How much room there is, S3 does not tell. */
static int s3_health(struct store *store, struct store_health *out)
{
	struct s3_request r = { .verb = S3_LIST, .key = FOLDER, .max_keys = 1 };
	int err = call(s3_of(store), &r);

	switch (err) {
	case 0:
	case -ENODEV:
	case -EACCES:
	case -ENOSPC:
	case -EBUSY:
		out->status = err;
		return 0;
	default:
		return err;
	}
}

static const struct store_ops store_s3_ops = {
	.scheme = "s3",
	.close = s3_close,
	.has = s3_has,
	.stat = s3_stat,
	.put = s3_put,
	.get = s3_get,
	.del = s3_del,
	.list = s3_list,
	.url = s3_url,
	.scan = s3_scan,
	.health = s3_health,
};

int store_s3_open(struct s3_client **client, store_verify_fn *verify, void *arg,
		  unsigned timeout_ms, struct store **out)
{
	struct store_s3 *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->store.ops = &store_s3_ops;
	s->store.flags = STORE_CAN_VERIFY | STORE_CAN_URL;
	s->client = *client;
	s->verify = verify;
	s->verify_arg = arg;
	s->timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_MS;
	*client = NULL;
	*out = &s->store;
	return 0;
}

struct s3_client *store_s3_client(struct store *s)
{
	return s3_of(s)->client;
}

/* A transfer that nobody waits for. */
struct transfer {
	store_s3_done_fn *done;
	void *arg;
	bool gets;
	struct getting getting;
};

static void end_transfer(void *arg, const struct s3_reply *reply)
{
	struct transfer *t = arg;
	ssize_t result = reply->err;
	const char *why = reply->why;

	if (t->gets)
		result = count_of(reply, t->getting.asked, t->getting.off);
	if (result < 0 && !reply->err)
		why = "S3: an answer of the wrong length";
	t->done(t->arg, result, why);
	free(t);
}

static int submit(struct store_s3 *s, const uint8_t *name, struct s3_request *r,
		  const struct transfer *t, uint64_t *ticket)
{
	struct transfer *own = malloc(sizeof *own);
	char key[KEY_LEN];
	int err;

	if (!own)
		return -ENOMEM;
	*own = *t;
	key_of(name, key);
	r->key = key;
	r->done = end_transfer;
	r->arg = own;
	err = s3_client_submit(s->client, r, ticket);
	if (err)
		free(own);
	return err;
}

int store_s3_submit_get(struct store *store, const uint8_t name[STORE_NAME_LEN], void *buf,
			size_t len, uint64_t off, int64_t deadline_ns, store_s3_done_fn *done,
			void *arg, uint64_t *ticket)
{
	struct transfer t = { .done = done, .arg = arg, .gets = true, .getting = { len, off, 0 } };
	struct s3_request r = { .verb = S3_GET,
				.into = buf,
				.into_size = len,
				.off = off,
				.deadline_ns = deadline_ns };

	return submit(s3_of(store), name, &r, &t, ticket);
}

int store_s3_submit_put(struct store *store, const uint8_t name[STORE_NAME_LEN],
			const struct store_s3_source *source, int64_t deadline_ns,
			store_s3_done_fn *done, void *arg, uint64_t *ticket)
{
	struct transfer t = { .done = done, .arg = arg };
	struct s3_request r = { .verb = S3_PUT,
				.body = source->bytes,
				.read = source->read,
				.read_arg = source->read_arg,
				.body_len = source->len,
				.sha256 = source->sha256,
				.if_absent = source->if_absent,
				.deadline_ns = deadline_ns };

	if (source->len == 0)
		return -EINVAL;
	return submit(s3_of(store), name, &r, &t, ticket);
}

void store_s3_cancel(struct store *s, uint64_t ticket)
{
	s3_client_cancel(s3_of(s)->client, ticket);
}
