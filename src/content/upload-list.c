/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is in the bucket already, asked for many chunks at a time: a page of its list tells of a thousand. Of a listing only that is believed what it does not
 * name: that is put, and at worst it is sent a second time, because another machine had sent it meanwhile or the list was late (Swift's is). What it does name
 * is looked up like any other, for it may have been deleted since. So an old listing, or a wrong one, costs something and does no harm.
 *
 * Pages are listed in the order of names as long as each tells of PAGE_WORTH chunks that wait, so that a huge bucket is not walked for a few; what lies
 * beyond the last is asked for one by one, as is everything where the key may not list.
 *
 * That a list of all chunks is cheaper than a question for each is Duplicacy's (its issue 269, before a first backup); that it is dearer for a few, rclone's
 * (546, since when it has --no-traverse). Here the queue itself tells which.
 */
#include "config.h"

#include "backend/s3/xml.h"
#include "content/upload-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_WORTH = 16,     /* a page is billed like a dozen questions, and some hundred KiB */
	WAITING_MAX = 65536, /* counted no further */
	NAMES_MAX = 1 << 17, /* kept: 1 MiB */
	NAMES_FIRST = 1024,
};

#define PAGE_NS (10 * TIME_NS_PER_S)
#define LIST_NS (600 * TIME_NS_PER_S)

static uint64_t list_name(const struct hash *h)
{
	uint64_t name = 0;

	for (int i = 0; i < 8; i++)
		name = name << 8 | h->b[i];
	return name;
}

static int count_row(void *arg, const struct meta_row *row)
{
	int64_t *out = arg;

	*out = meta_row_int(row, 0);
	return 1;
}

/* Whether one more page will tell of enough. */
static bool list_is_worth(struct upload *u)
{
	const struct upload_list *l = &u->list;
	int64_t waiting = 0;

	if (META_QUERY(u->content->meta, UPLOAD_WAITING, count_row, &waiting, META_I(WAITING_MAX)) <
	    0)
		return false;
	return (double)waiting * (l->share > 0 ? l->share : 1) >= PAGE_WORTH;
}

/* By the client's thread. */
static void list_answer(void *arg, const struct s3_reply *reply)
{
	struct upload *u = arg;
	struct upload_list *l = &u->list;

	buf_reset(&l->text);
	l->err = reply->err;
	if (reply->err)
		(void)buf_add_str(&l->text, reply->why);
	else
		l->err = buf_add(&l->text, reply->text, reply->text_len);
	lock_lock(&u->lock);
	l->back = true;
	lock_cond_signal(&u->wake);
	lock_unlock(&u->lock);
}

static void list_ask(struct upload *u)
{
	struct upload_list *l = &u->list;
	char after[STORE_S3_KEY_LEN];
	struct s3_request r = { .verb = S3_LIST,
				.key = STORE_S3_CHUNKS,
				.deadline_ns = time_mono_ns() + PAGE_NS,
				.done = list_answer,
				.arg = u };

	if (l->count) {
		store_s3_key(STORE_S3_CHUNKS, l->last.b, after);
		r.after = after;
	}
	l->asked = true;
	if (s3_client_submit(u->client, &r, &l->ticket)) {
		l->asked = false;
		l->over = true;
	}
}

static void list_go_on(struct upload *u)
{
	struct upload_list *l = &u->list;

	if (!l->asked && !l->whole && !l->over && !u->ending && list_is_worth(u))
		list_ask(u);
}

void upload_list_begin(struct upload *u)
{
	struct upload_list *l = &u->list;
	int64_t now = time_mono_ns();

	/* Of a bucket that was away one object is asked for first. */
	if (l->asked || u->failures)
		return;
	if (now >= l->end_ns) {
		l->count = l->pages = 0;
		l->whole = l->over = false;
		l->end_ns = now + LIST_NS;
	}
	list_go_on(u);
}

bool upload_list_awaited(const struct upload *u)
{
	return u->list.asked && !u->list.pages;
}

static int list_grow(struct upload_list *l)
{
	size_t cap = l->cap ? 2 * l->cap : NAMES_FIRST;
	uint64_t *names = reallocarray(l->names, cap, sizeof(*names));

	if (!names)
		return -ENOMEM;
	l->names = names;
	l->cap = cap;
	return 0;
}

static int list_key(void *arg, const char *key, uint64_t size)
{
	struct upload *u = arg;
	struct upload_list *l = &u->list;
	struct hash h;

	(void)size;
	/* What has no name of a chunk is someone else's. */
	if (!store_s3_name(u->client, STORE_S3_CHUNKS, key, h.b))
		return 0;
	/* Out of order nothing can be said of what lies between. */
	if (l->count && memcmp(l->last.b, h.b, HASH_LEN) >= 0)
		return -EPROTO;
	if (l->count == NAMES_MAX)
		return -ENOSPC;
	if (l->count == l->cap && list_grow(l))
		return -ENOMEM;
	l->names[l->count++] = list_name(&h);
	l->last = h;
	return 0;
}

static void list_failed(struct upload *u, int err)
{
	struct upload_list *l = &u->list;

	l->over = true;
	/* What went before is right all the same, but where the order is not that of names. */
	if (err == -EPROTO)
		l->count = l->pages = 0;
	if (err == -ECANCELED || err == -ENOSPC || l->told)
		return;
	l->told = true;
	log_info("s3://%s: what is there cannot be listed, so each chunk is asked for: %s",
		 s3_client_settings(u->client)->bucket,
		 l->err && l->text.len ? buf_str(&l->text) : err_text(err));
}

static void list_page(struct upload *u)
{
	struct upload_list *l = &u->list;
	size_t before = l->count;
	bool more = false;
	int err = l->err ? l->err
			 : s3_xml_read_page(buf_str(&l->text), l->text.len, list_key, u, &more);

	if (err) {
		list_failed(u, err);
		return;
	}
	l->pages++;
	l->whole = !more;
	l->over = l->count == before;
	l->share = (l->whole ? 1.0 : (double)list_name(&l->last) / (double)UINT64_MAX) / l->pages;
	/* Nothing has to be put on a condition whose cost is not known. */
	u->answered = u->answered || l->whole;
}

void upload_list_receive(struct upload *u)
{
	struct upload_list *l = &u->list;

	lock_lock(&u->lock);
	bool back = l->back;

	l->back = false;
	lock_unlock(&u->lock);
	if (!back)
		return;
	l->asked = false;
	list_page(u);
	list_go_on(u);
	if (!l->asked)
		buf_release(&l->text);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

enum upload_listed upload_list_find(const struct upload *u, const struct hash *chunk)
{
	const struct upload_list *l = &u->list;
	uint64_t name = list_name(chunk);

	if (!l->pages || time_mono_ns() >= l->end_ns)
		return UPLOAD_LISTED_UNKNOWN;
	if (l->count && bsearch(&name, l->names, l->count, sizeof(name), compare))
		return UPLOAD_LISTED_MAYBE;
	return l->whole || (l->count && name < list_name(&l->last)) ? UPLOAD_LISTED_NO
								    : UPLOAD_LISTED_UNKNOWN;
}

void upload_list_cancel(struct upload *u)
{
	if (u->list.asked)
		s3_client_cancel(u->client, u->list.ticket);
}

void upload_list_release(struct upload *u)
{
	free(u->list.names);
	buf_release(&u->list.text);
	u->list = (struct upload_list){ .text = BUF_INIT };
}
