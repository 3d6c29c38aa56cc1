/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The beginning: whose backup it is, and what of it the bucket has. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/backup-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"
#include "util/uuid.h"

/* A place in the world: where the bucket is, and below which prefix. */
static int begin_place(const struct s3_settings *s3, uint8_t place[16])
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	uint8_t hash[32];
	int err = buf_printf(&text, "%s\n%s\n%s", s3->endpoint ? s3->endpoint : "", s3->bucket,
			     s3->prefix);

	if (!err && !EVP_Digest(text.data, text.len, hash, NULL, EVP_sha256(), NULL))
		err = -EIO;
	if (!err)
		memcpy(place, hash, 16);
	return err;
}

static int begin_open(struct backup_ship *s, const struct backup_ship_params *p)
{
	uint8_t place[16];
	int err = begin_place(s3_client_settings(p->client), place);

	s->path = realpath(p->path, NULL);
	if (!s->path)
		return -errno;
	if (!err)
		err = backup_state_open(p->dir_fd, p->library, place, &s->state);
	return err ? err : meta_pages_new(p->meta, &s->pages);
}

int backup_ship_new(const struct backup_ship_params *params, struct backup_ship **out)
{
	struct backup_ship *s = calloc(1, sizeof(*s));
	int err;

	if (!s) {
		s3_client_free(params->client);
		return -ENOMEM;
	}
	s->state.fd = -1;
	s->dir_fd = params->dir_fd;
	memcpy(s->library, params->library, sizeof(s->library));
	memcpy(s->machine, params->machine, sizeof(s->machine));
	backup_bucket_init(&s->bucket, params->client);
	err = begin_open(s, params);
	if (err)
		backup_ship_free(s);
	else
		*out = s;
	return err;
}

void backup_ship_free(struct backup_ship *s)
{
	if (!s)
		return;
	meta_pages_free(s->pages);
	backup_segment_free(s->merge);
	backup_state_close(&s->state);
	backup_bucket_release(&s->bucket);
	buf_release(&s->why);
	free(s->changed);
	free(s->dirty);
	free(s->page);
	free(s->path);
	free(s);
}

/* Says whose it is. */
static int begin_refuse(struct backup_ship *s, const struct backup_owner *o, const char *what)
{
	buf_reset(&s->why);
	buf_printf(&s->why, "%s: ", what);
	backup_owner_tell(o, &s->why);
	return -EEXIST;
}

/* The claim to EPOCH, the newest, is damaged or gone. Who had it himself, or may take over, begins another. */
static int begin_judge_lost(struct backup_ship *s, uint32_t epoch, bool take_over)
{
	const struct backup_state_head *head = &s->state.head;

	if (epoch == head->epoch || take_over || (head->flags & BACKUP_TAKE_OVER)) {
		log_warn("%s: meta/claims/%08" PRIx32
			 " is damaged or gone; the backup is made anew",
			 s->path, epoch);
		return 0;
	}
	buf_reset(&s->why);
	buf_printf(&s->why,
		   "whose backup the bucket has is not known: meta/claims/%08" PRIx32
		   " is damaged or gone",
		   epoch);
	return -EEXIST;
}

/* Whether a claim to EPOCH, the newest, is no obstacle. */
static int begin_judge(struct backup_ship *s, uint32_t epoch, bool take_over)
{
	const struct backup_state_head *head = &s->state.head;
	struct backup_owner o = { 0 };
	int err = backup_owner_read(&s->bucket, epoch, &o);

	if (err == ERR_CORRUPT || err == -ENOENT) {
		err = begin_judge_lost(s, epoch, take_over);
	} else if (!err && memcmp(o.library, s->library, sizeof(o.library)) != 0) {
		err = begin_refuse(s, &o, "the bucket has the backup of another library");
	} else if (!err && !take_over && !(head->flags & BACKUP_TAKE_OVER) &&
		   (memcmp(o.machine, s->machine, sizeof(o.machine)) || strcmp(o.path, s->path))) {
		err = begin_refuse(s, &o, "the bucket has the backup of this library elsewhere");
	}
	backup_owner_release(&o);
	return err;
}

/* No library comes as far as to the last epoch: what is there is damage, or someone's doing. */
static int begin_after_last(struct backup_ship *s)
{
	buf_reset(&s->why);
	buf_printf(&s->why,
		   "no epoch comes after %08" PRIx32 ": remove meta/claims/%08" PRIx32
		   " and what is below meta/%08" PRIx32 "/",
		   BACKUP_EPOCH_MAX, BACKUP_EPOCH_MAX, BACKUP_EPOCH_MAX);
	return -EEXIST;
}

/* Begins an epoch. Who is a moment too late asks again. */
static int begin_claim(struct backup_ship *s, uint32_t epoch)
{
	struct backup_owner own = { .at_ns = time_now_ns(), .path = s->path };
	int err;

	if (epoch > BACKUP_EPOCH_MAX)
		return begin_after_last(s);
	if (gethostname(own.host, sizeof(own.host) - 1))
		own.host[0] = 0;
	err = backup_state_reset(&s->state, epoch);
	memcpy(own.library, s->library, sizeof(own.library));
	memcpy(own.machine, s->machine, sizeof(own.machine));
	memcpy(own.token, s->state.head.token, sizeof(own.token));
	/* Written first: a claim whose answer is lost is then known for ours. */
	if (!err)
		err = backup_state_write(&s->state, true);
	if (!err)
		err = backup_owner_claim(&s->bucket, epoch, &own);
	return err;
}

/* Whether EPOCH, the newest, is ours: 1, 0, or an error. */
static int begin_is_ours(struct backup_ship *s, uint32_t epoch)
{
	struct backup_owner o = { 0 };
	int err;

	if (!epoch || epoch != s->state.head.epoch)
		return 0;
	err = backup_owner_read(&s->bucket, epoch, &o);
	if (err)
		return err == ERR_CORRUPT || err == -ENOENT ? 0 : err;
	bool ours = !memcmp(o.token, s->state.head.token, sizeof(o.token));

	backup_owner_release(&o);
	return ours;
}

static int begin_own(struct backup_ship *s, bool take_over)
{
	uint32_t newest = 0;
	int err = backup_owner_newest(&s->bucket, BACKUP_EPOCH_MAX, &newest);
	int ours = err ? err : begin_is_ours(s, newest);

	if (ours < 0)
		return ours;
	if (!ours && newest)
		err = begin_judge(s, newest, take_over);
	if (!ours && !err)
		err = begin_claim(s, newest + 1);
	if (!err)
		s->state.head.flags &= ~(uint32_t)BACKUP_TAKE_OVER;
	return err;
}

/* A part that was sent, but of which it is not sure that it was written down: its pages are sent again. */
static int begin_doubt(struct backup_ship *s, const struct backup_segment_name *name)
{
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_BUF struct buf raw = BUF_INIT;
	struct backup_segment_head head;
	char key[BACKUP_SEGMENT_KEY_MAX];
	int err;

	backup_segment_key(name, key);
	err = backup_bucket_get(&s->bucket, key, BACKUP_SEGMENT_BYTES_MAX, &body);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = backup_segment_read(body.data, body.len, &head, &raw);
	if (err)
		return err;
	if (memcmp(head.run, s->state.head.run, sizeof(head.run)) != 0) {
		buf_reset(&s->why);
		buf_printf(&s->why, "someone else has written %s: is there a copy of this library?",
			   key);
		return -EEXIST;
	}
	for (uint32_t i = 0, page; i < head.pages && !err; i++) {
		backup_segment_page(&head, &raw, i, &page);
		err = backup_state_put(&s->state, page, (struct backup_entry){ .state = head.to });
	}
	return err;
}

static int begin_doubt_all(struct backup_ship *s, const struct backup_chain *c)
{
	int err = 0;

	for (size_t i = 0; i < c->count && !err; i++) {
		const struct backup_link *l = &c->links[i];

		for (uint32_t p = 0; p < l->parts && l->to > s->state.head.synced && !err; p++)
			err = begin_doubt(s, &(struct backup_segment_name){ c->epoch, l->from,
									    l->to, p, l->parts });
	}
	return err;
}

/* Brings what is known here to what the bucket has. */
static int begin_resume(struct backup_ship *s)
{
	struct backup_state_head *head = &s->state.head;
	struct backup_chain chain;
	uint64_t end, top;
	int err = backup_chain_list(&s->bucket, head->epoch, &chain);

	if (err)
		return err;
	end = backup_chain_end(&chain);
	top = backup_chain_top(&chain);
	err = end < head->seq ? ERR_CORRUPT : begin_doubt_all(s, &chain);
	if (err == ERR_CORRUPT) {
		log_warn("%s: the backup in the bucket has lost segments; it is made anew",
			 s->path);
		uint8_t token[16];

		memcpy(token, head->token, sizeof(token));
		err = backup_state_reset(&s->state, head->epoch);
		memcpy(head->token, token, sizeof(token));
	} else {
		head->seq = end;
	}
	head->next = top >= head->next ? top + 1 : head->next;
	backup_chain_free(&chain);
	return err;
}

void backup_config_key(uint32_t epoch, char key[BACKUP_SEGMENT_KEY_MAX])
{
	snprintf(key, BACKUP_SEGMENT_KEY_MAX, "meta/%08" PRIx32 "/config", epoch);
}

/* The configuration, which a recovery wants too. It holds no secret. */
static int begin_config(struct backup_ship *s)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	char key[BACKUP_SEGMENT_KEY_MAX];
	uint8_t hash[32];
	int err = io_read_file(s->dir_fd, "config", BACKUP_CONFIG_MAX, &text);

	if (err == -ENOENT || text.len == 0)
		return 0;
	if (!err && !EVP_Digest(text.data, text.len, hash, NULL, EVP_sha256(), NULL))
		err = -EIO;
	if (err || !memcmp(hash, s->state.head.config, sizeof(hash)))
		return err;
	backup_config_key(s->state.head.epoch, key);
	err = backup_bucket_put(&s->bucket, key, text.data, text.len, false);
	if (!err)
		memcpy(s->state.head.config, hash, sizeof(hash));
	return err;
}

int backup_ship_begin(struct backup_ship *s, bool take_over)
{
	struct uuid run;
	int err;

	/* Its numbers may be others' in what begins now. */
	backup_segment_free(s->merge);
	s->merge = NULL;
	s->clean = s->begun = s->raise_clean = false;
	s->raise_to = 0;
	err = begin_own(s, take_over);
	if (!err) {
		err = begin_resume(s);
		/* Of a copy of this library: it has our claim, too. */
		if (err == -EEXIST && take_over)
			err = begin_claim(s, s->state.head.epoch + 1);
	}
	if (!err)
		err = begin_config(s);
	if (err)
		return backup_ship_failed(s, err);
	uuid_random(&run);
	memcpy(s->state.head.run, run.b, sizeof(s->state.head.run));
	err = backup_state_write(&s->state, true);
	s->scan = true;
	s->begun = !err;
	s->saved_ns = s->owner_ns = time_mono_ns();
	return err;
}
