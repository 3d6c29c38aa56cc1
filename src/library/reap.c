/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps of it, in their order; what each relies on is in reap.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/reap-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

/* Where each takes a request of its own, few are taken at a time, so that a stop does not wait long. */
enum { REAP_ONE_BY_ONE = 16, REAP_RAISES = 3, REAP_DOUBLINGS = 6 };

#define REAP_LEASE_NS (120 * TIME_NS_PER_S)
/* More than a request may take. */
#define REAP_REQUEST_NS (70 * TIME_NS_PER_S)
/* How often is looked whether anything is due: a part of the time that it has to wait anyway. */
#define REAP_LOOK_SHARE 8
#define REAP_LOOK_LEAST_NS TIME_NS_PER_S
#define REAP_LOOK_MOST_NS (3600 * TIME_NS_PER_S)
#define REAP_RETRY_NS (10 * TIME_NS_PER_S)

int reap_new(const struct reap_params *params, struct reap **out)
{
	struct reap *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->meta = params->meta;
	memcpy(r->instance, params->instance, sizeof(r->instance));
	r->grace_ns = params->grace_ns;
	r->lease_ns = params->lease_ns ? params->lease_ns : REAP_LEASE_NS;
	*out = r;
	return 0;
}

void reap_free(struct reap *r)
{
	if (!r)
		return;
	buf_release(&r->why);
	free(r);
}

void reap_facts(const struct reap *r, struct reap_facts *out)
{
	*out = r->facts;
}

/* Has all that is gone so far known to be so by the backup. */
static int reap_mark(struct reap *r, struct backup_ship *ship)
{
	struct backup_ship_facts facts;
	bool unsafe = false;

	backup_ship_facts(ship, &facts);
	int err = reap_close(r, facts.epoch, &unsafe);

	if (err || !unsafe)
		return err;
	err = backup_ship_step(ship, true);
	if (err < 0)
		return err;
	backup_ship_facts(ship, &facts);
	return reap_safe(r, facts.epoch, facts.state);
}

/* Finds what is due: manifests, and when there are none left, also not with someone else, chunks. */
static int reap_find_any(struct reap *r, struct backup_ship *ship)
{
	struct backup_ship_facts facts;

	backup_ship_facts(ship, &facts);
	r->list.room = backup_ship_bucket(ship)->one_by_one ? REAP_ONE_BY_ONE : S3_MANY_KEYS;
	int err = reap_find(r, REAP_MANIFEST, facts.epoch);

	if (err || r->list.count || r->list.taken)
		return err;
	return reap_find(r, REAP_CHUNK, facts.epoch);
}

/* Whether no state that names any of the list can be brought back: 1; 0: that is being seen to; or an error. */
static int reap_settled(struct reap *r, struct backup_ship *ship)
{
	struct backup_ship_facts facts;
	int err;

	backup_ship_facts(ship, &facts);
	if (r->floor_epoch == facts.epoch && r->floor >= r->list.state) {
		err = backup_ship_owner(ship);
		return err ? err : 1;
	}
	if (!backup_ship_raising(ship)) {
		err = backup_ship_floor(ship, &r->floor);
		r->floor_epoch = err ? 0 : facts.epoch;
		if (err)
			return err;
		if (r->floor >= r->list.state) {
			r->raises = 0;
			return 1;
		}
		if (++r->raises > REAP_RAISES) {
			r->raises = 0;
			buf_add_str(&r->why, "older states of the backup cannot be deleted");
			return -EIO;
		}
		err = backup_ship_raise(ship, r->list.state);
		if (err)
			return err;
	}
	err = backup_ship_step(ship, false);
	return err < 0 ? err : 0;
}

/* Whether the error shows that nothing has arrived, so that nothing is under way. */
static bool reap_is_certain(int err)
{
	return err == -ECONNREFUSED || err == -EHOSTUNREACH || err == -ENETUNREACH ||
	       err == -ENETDOWN || err == -EBUSY || err == -ENOKEY || err == -ENOMEM;
}

static int reap_delete(struct reap *r, struct backup_bucket *bucket)
{
	char(*keys)[STORE_S3_KEY_LEN] = calloc(r->list.count, sizeof(*keys));
	const char **list = calloc(r->list.count, sizeof(*list));
	int err = keys && list ? 0 : -ENOMEM;

	for (size_t i = 0; i < r->list.count && !err; i++) {
		const struct reap_name *name = &r->list.names[i];

		store_s3_key(name->kind == REAP_CHUNK ? STORE_S3_CHUNKS : STORE_S3_MANIFESTS,
			     name->hash, keys[i]);
		list[i] = keys[i];
	}
	memset(r->gone, 0, sizeof(r->gone));
	buf_reset(&bucket->why);
	if (!err)
		err = backup_bucket_delete_many(bucket, list, r->list.count, r->gone);
	free(list);
	free(keys);
	return err;
}

static void reap_count(struct reap *r)
{
	for (size_t i = 0; i < r->list.count; i++) {
		if (!r->gone[i])
			continue;
		r->facts.manifests += r->list.names[i].kind == REAP_MANIFEST;
		r->facts.chunks += r->list.names[i].kind == REAP_CHUNK;
		r->facts.chunk_bytes += r->list.names[i].kind == REAP_CHUNK ? r->list.names[i].size
									    : 0;
	}
}

/* Those of the list that nobody wants: taken, durably, deleted, done with. 1 or an error. */
static int reap_batch(struct reap *r, struct backup_bucket *bucket)
{
	int64_t lease = r->lease_ns + (bucket->one_by_one ? REAP_ONE_BY_ONE : 1) * REAP_REQUEST_NS;
	int err = reap_take(r, lease);

	/* The rows are gone for good before anything else is. */
	if (!err && r->list.count)
		err = meta_sync(r->meta);
	/* From here on until it is recorded what was taken may be under way. */
	r->doubt = true;
	if (err || !r->list.count)
		return err ? err : 1;
	err = reap_delete(r, bucket);
	r->doubt = err && !reap_is_certain(err);
	if (err || bucket->why.len)
		buf_add_str(&r->why, bucket->why.len ? buf_str(&bucket->why) : err_text(err));
	int recorded = reap_record(r, !r->doubt);

	r->doubt = r->doubt || recorded;
	if (!recorded)
		reap_count(r);
	/* Some that are still there, for a reason that was told: later. */
	if (!err && !recorded && r->why.len)
		err = -EACCES;
	return err ? err : recorded ? recorded : 1;
}

static int reap_work(struct reap *r, struct backup_ship *ship)
{
	int err = reap_mark(r, ship);

	if (!err)
		err = reap_find_any(r, ship);
	if (err || !r->list.count)
		return err;
	int settled = reap_settled(r, ship);

	if (settled <= 0)
		return settled ? settled : 1;
	return reap_batch(r, backup_ship_bucket(ship));
}

static void reap_tell(struct reap *r, struct backup_ship *ship, int err)
{
	const char *why = r->why.len               ? buf_str(&r->why)
			  : *backup_ship_why(ship) ? backup_ship_why(ship)
						   : err_text(err);

	if (err >= 0 || err == -ECANCELED) {
		r->facts.err = err < 0 ? r->facts.err : 0;
		r->logged = err < 0 ? r->logged : 0;
		return;
	}
	r->facts.err = err;
	r->facts.err_ns = time_now_ns();
	snprintf(r->facts.why, sizeof(r->facts.why), "%s", why);
	if (r->logged != err)
		log_warn("deleting in the bucket: %s", why);
	r->logged = err;
}

/* When it is worth another look. */
static void reap_pause(struct reap *r, int result)
{
	int64_t now = time_mono_ns(), look = r->grace_ns / REAP_LOOK_SHARE;

	if (look < REAP_LOOK_LEAST_NS)
		look = REAP_LOOK_LEAST_NS;
	if (look > REAP_LOOK_MOST_NS)
		look = REAP_LOOK_MOST_NS;
	r->look_ns = result == 0 ? now + look : 0;
	r->failures = result < 0 ? r->failures + 1 : 0;
	if (result < 0)
		r->hold_ns = now +
			     (REAP_RETRY_NS
			      << (r->failures < REAP_DOUBLINGS ? r->failures : REAP_DOUBLINGS));
	if (r->doubt)
		r->doubt_ns = now + r->lease_ns;
}

int reap_step(struct reap *r, struct backup_ship *ship, bool hurry)
{
	int64_t now = time_mono_ns();
	int result = 0;

	if (r->doubt && now < r->doubt_ns)
		return 0;
	if (!hurry && (now < r->hold_ns || now < r->look_ns))
		return 0;
	buf_reset(&r->why);
	if (r->doubt) {
		r->list.count = 0;
		result = reap_record(r, true);
		r->doubt = result;
	}
	if (!result)
		result = reap_work(r, ship);
	reap_tell(r, ship, result);
	reap_pause(r, result);
	return result;
}
