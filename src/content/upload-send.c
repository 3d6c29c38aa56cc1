/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One item's way to the bucket: its bytes are read and checked, then put on the condition that there are none. Where there are some already their size
 * is asked: a copy that another program cut short must not be taken for ours. A second try puts without condition, since the first may have left what is not
 * right.
 */
#include "config.h"

#include "content/manifest.h"
#include "content/upload-internal.h"
#include "util/err.h"
#include "util/large.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	PLACES_MAX = 8,
	READ_TRIES = 4, /* content moves between blobs while it is read */
	LOOK_MIN = 256 * 1024,
	LOOK_MISSES = 32, /* then only each so-manieth is looked for */
	LOOK_EACH = 16,
};

#define LOOK_NS (10 * TIME_NS_PER_S)

struct place {
	int64_t blob;
	uint64_t at;
};

struct places {
	struct place list[PLACES_MAX];
	unsigned count;
};

static int place_row(void *arg, const struct meta_row *row)
{
	struct places *p = arg;

	if (meta_row_null(row, 1))
		return 0;
	p->list[p->count].blob = meta_row_int(row, 1);
	p->list[p->count].at = (uint64_t)meta_row_int(row, 2);
	return ++p->count == PLACES_MAX;
}

/* Whether the bytes at the place are the chunk's: 1, 0 (also when they cannot be read), or an error that says nothing of them. */
static int read_place(struct upload *u, struct upload_item *item, const struct place *p)
{
	struct blob *blob = NULL;
	struct hash hash;
	int err = blobs_get(u->content->blobs, p->blob, &blob);

	if (err)
		return err == -ENOENT || err == -EIO ? 0 : err;
	ssize_t got = blob_read(blob, item->bytes, item->len, p->at);

	blob_put(blob);
	if (got != (ssize_t)item->len)
		return 0;
	err = hash_data(u->content->params.algo, item->bytes, item->len, &hash);
	return err ? err : hash_equal(&hash, &item->hash);
}

/* 0; ERR_CORRUPT or -ENOENT: no good copy here; or an error. */
static int read_chunk(struct upload *u, struct upload_item *item)
{
	int result = -ENOENT;

	item->len = item->size;
	item->bytes = large_alloc(item->len);
	if (!item->bytes)
		return -ENOMEM;
	for (int i = 0; i < READ_TRIES; i++) {
		struct places places = { .count = 0 };
		int got = META_QUERY(u->content->meta, CHUNK_PLACES, place_row, &places,
				     META_B(item->hash.b, HASH_LEN));

		for (unsigned k = 0; k < places.count && got >= 0; k++) {
			got = read_place(u, item, &places.list[k]);
			if (got == 1)
				return 0;
			result = ERR_CORRUPT;
		}
		if (got < 0)
			return got;
	}
	return result;
}

static int manifest_row(void *arg, const struct meta_row *row)
{
	struct manifest *m = arg;
	struct hash hash;
	size_t len;
	const void *bytes = meta_row_bytes(row, 2, &len);
	uint64_t length = (uint64_t)meta_row_int(row, 1);

	if (!bytes)
		return manifest_add_hole(m, length);
	if (len != HASH_LEN || length > UINT32_MAX)
		return ERR_CORRUPT;
	memcpy(hash.b, bytes, HASH_LEN);
	return manifest_add_chunk(m, (uint32_t)length, &hash);
}

static int read_manifest(struct upload *u, struct upload_item *item)
{
	struct manifest m;
	struct hash root;
	int err = manifest_init(&m, u->content->params.algo, item->size);

	if (err)
		return err;
	int got = META_QUERY(u->content->meta, OBJECT_CHUNKS, manifest_row, &m,
			     META_I(item->target));

	err = got < 0 ? got : manifest_end(&m, &root);
	if (err == -EINVAL || (!err && !hash_equal(&root, &item->hash)))
		err = ERR_CORRUPT;
	if (!err)
		item->bytes = buf_take(&m.bytes, &item->len);
	manifest_release(&m);
	return err;
}

/* By the client's thread. */
static void answer(void *arg, const struct s3_reply *reply)
{
	struct upload_item *item = arg;
	struct upload *u = item->owner;

	item->err = reply->err;
	item->there_bytes = reply->size;
	buf_reset(&item->why);
	if (reply->err)
		(void)buf_add_str(&item->why, reply->why);
	lock_lock(&u->lock);
	item->below = u->back;
	u->back = item;
	lock_cond_signal(&u->wake);
	lock_unlock(&u->lock);
}

static void land(struct upload *u, struct upload_item *item)
{
	DL_DELETE(u->aloft, item);
	u->aloft_count--;
	u->landed_ns = time_mono_ns();
	lock_lock(&u->lock);
	u->status.flying--;
	u->status.flying_bytes -= item->len;
	lock_unlock(&u->lock);
}

static void take_off(struct upload *u, struct upload_item *item)
{
	if (!u->aloft)
		u->landed_ns = item->started_ns;
	DL_APPEND(u->aloft, item);
	u->aloft_count++;
	lock_lock(&u->lock);
	u->status.flying++;
	u->status.flying_bytes += item->len;
	lock_unlock(&u->lock);
}

/* Begins the request that the item is to make; it is in no list. */
static void submit(struct upload *u, struct upload_item *item)
{
	if (u->ending) {
		upload_over(u, item, UPLOAD_UNDONE);
		return;
	}
	const char *folder = item->kind == UPLOAD_CHUNK ? STORE_S3_CHUNKS : STORE_S3_MANIFESTS;
	char key[STORE_S3_KEY_LEN];
	struct s3_request r = { .verb = item->ask == UPLOAD_LOOK ? S3_STAT : S3_PUT,
				.key = key,
				.deadline_ns = time_mono_ns() + u->params.deadline_ns,
				.done = answer,
				.arg = item };

	store_s3_key(folder, item->hash.b, key);
	if (item->ask == UPLOAD_LOOK && LOOK_NS < u->params.deadline_ns)
		r.deadline_ns = time_mono_ns() + LOOK_NS;
	if (item->ask != UPLOAD_LOOK) {
		r.body = item->bytes;
		r.body_len = item->len;
		r.if_absent = item->ask == UPLOAD_PUT_NEW;
		if (u->content->params.algo == HASH_SHA256)
			r.sha256 = item->hash.b;
	}
	item->started_ns = time_mono_ns();
	u->sent_count++;
	take_off(u, item);
	/* The answer may be there, and written to the item, before this returns. */
	int err = s3_client_submit(u->client, &r, &item->ticket);
	if (err) {
		land(u, item);
		upload_over(u, item, UPLOAD_UNDONE);
	}
}

static void say(struct upload_item *item, int err)
{
	buf_reset(&item->why);
	(void)buf_add_str(&item->why, err == -ENOENT       ? "its bytes are not on this machine"
				      : err == ERR_CORRUPT ? "its bytes on this machine are damaged"
							   : err_text(err));
}

/* No good bytes: of a chunk there may be later; nothing else can be done about it here. */
static void read_failed(struct upload *u, struct upload_item *item, int err)
{
	char name[HASH_TEXT_LEN];
	bool stuck = err == -ENOENT || err == ERR_CORRUPT;

	say(item, err);
	hash_hex(&item->hash, name);
	/* Of a library that was recovered much may be neither here nor there; garner status counts it. */
	if (!item->tries && err != -ENOENT)
		log_error("%s %s is not uploaded: %s",
			  item->kind == UPLOAD_CHUNK ? "chunk" : "manifest", name,
			  buf_str(&item->why));
	upload_over(u, item, stuck ? UPLOAD_STUCK : UPLOAD_AGAIN);
}

/*
 * Where the server keeps conditions, one costs nothing, and whether it does is found out unless a listing has told most. Else it is asked before: for small ones that
 * is no cheaper than to put them; and where many others were not there, most of the rest will not be either.
 */
static bool is_worth_a_look(const struct upload *u, const struct upload_item *item)
{
	enum s3_conditional kept = s3_client_conditional(u->client);

	if (kept == S3_CONDITIONAL_YES || (kept == S3_CONDITIONAL_UNKNOWN && !u->list.pages))
		return true;
	return item->len >= LOOK_MIN && (u->misses < LOOK_MISSES || u->sent_count % LOOK_EACH == 0);
}

/*
 * A bucket that was away is asked for little first, which shows soon whether it is back. What was listed may be gone: it is looked at; what was not may be
 * there by now: it is put on a condition where that costs nothing.
 */
static enum upload_ask first_ask(const struct upload *u, const struct upload_item *item)
{
	enum upload_listed listed = UPLOAD_LISTED_UNKNOWN;

	if (u->failures)
		return UPLOAD_LOOK;
	if (item->tries)
		return UPLOAD_PUT;
	if (item->kind == UPLOAD_CHUNK)
		listed = upload_list_find(u, &item->hash);
	if (listed == UPLOAD_LISTED_MAYBE)
		return UPLOAD_LOOK;
	if (listed == UPLOAD_LISTED_NO)
		return s3_client_conditional(u->client) == S3_CONDITIONAL_YES ? UPLOAD_PUT_NEW
									      : UPLOAD_PUT;
	return is_worth_a_look(u, item) ? UPLOAD_PUT_NEW : UPLOAD_PUT;
}

void upload_send(struct upload *u, struct upload_item *item)
{
	int err;

	if (!item->there) {
		upload_over(u, item, UPLOAD_GONE);
		return;
	}
	err = item->kind == UPLOAD_CHUNK ? read_chunk(u, item) : read_manifest(u, item);
	if (err) {
		read_failed(u, item, err);
		return;
	}
	item->ask = first_ask(u, item);
	submit(u, item);
}

/* Whether what was found may be taken for what is to be sent. After a try of ours it may be what that left. */
static bool is_ours(const struct upload_item *item)
{
	return !item->tries && item->there_bytes == item->len;
}

static void note_look(struct upload *u, const struct upload_item *item)
{
	u->answered = u->answered || item->ask != UPLOAD_LOOK;
	if (item->ask == UPLOAD_PUT_NEW && item->err == -EEXIST)
		u->misses = 0;
	else if (item->ask == UPLOAD_PUT_NEW && !item->err)
		u->misses++;
}

static void judge(struct upload *u, struct upload_item *item)
{
	bool puts = item->ask != UPLOAD_LOOK;

	upload_pace(u, item);
	note_look(u, item);
	if (puts && item->err == -EEXIST && item->ask == UPLOAD_PUT_NEW) {
		item->ask = UPLOAD_LOOK;
		submit(u, item);
	} else if (!puts && (item->err == -ENOENT || (!item->err && !is_ours(item)))) {
		item->ask = UPLOAD_PUT;
		submit(u, item);
	} else if (!item->err) {
		upload_success(u);
		upload_over(u, item, puts ? UPLOAD_SENT : UPLOAD_FOUND);
	} else if (item->err == -ECANCELED) {
		upload_over(u, item, UPLOAD_UNDONE);
	} else {
		bool own = upload_failure(u, item);

		upload_over(u, item, own && puts ? UPLOAD_AGAIN : UPLOAD_UNDONE);
	}
}

void upload_receive(struct upload *u)
{
	struct upload_item *item, *below;

	lock_lock(&u->lock);
	item = u->back;
	u->back = NULL;
	lock_unlock(&u->lock);
	for (; item; item = below) {
		below = item->below;
		land(u, item);
		judge(u, item);
	}
}

void upload_drop_body(struct upload_item *item)
{
	if (item->kind == UPLOAD_CHUNK)
		large_free(item->bytes, item->len);
	else
		free(item->bytes);
	item->bytes = NULL;
}

void upload_over(struct upload *u, struct upload_item *item, enum upload_end end)
{
	int64_t now = time_mono_ns();

	upload_drop_body(item);
	item->end = end;
	if (!u->over)
		u->over_ns = now;
	DL_APPEND(u->over, item);
	u->over_count++;
	if (end != UPLOAD_SENT && end != UPLOAD_FOUND)
		return;
	lock_lock(&u->lock);
	u->status.sent++;
	u->status.sent_bytes += item->len;
	u->status.found += end == UPLOAD_FOUND;
	upload_rate_add_locked(u, item->len, now);
	lock_unlock(&u->lock);
}
