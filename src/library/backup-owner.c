/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claims: meta/claims/EPOCH, one JSON object each, made where there is none and never changed. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/backup.h"
#include "library/backup-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/time.h"

#define OWNER_FOLDER "meta/claims/"

enum { OWNER_MAX = 64 << 10, OWNER_KEY = 64 };

static void owner_key(uint32_t epoch, char key[OWNER_KEY])
{
	snprintf(key, OWNER_KEY, OWNER_FOLDER "%08" PRIx32, epoch);
}

struct owner_search {
	uint32_t up_to, newest;
};

static int owner_take(void *arg, const char *key, uint64_t size)
{
	struct owner_search *search = arg;
	uint32_t epoch = 0;
	struct backup_segment_name name;
	char again[OWNER_KEY];

	(void)size;
	if (backup_segment_parse(key, &name)) {
		epoch = name.epoch;
	} else {
		if (sscanf(key, OWNER_FOLDER "%8" SCNx32, &epoch) != 1)
			return 0;
		owner_key(epoch, again);
		if (strcmp(again, key) != 0)
			return 0;
	}
	if (epoch <= search->up_to && epoch > search->newest)
		search->newest = epoch;
	return 0;
}

int backup_owner_newest(struct backup_bucket *b, uint32_t up_to, uint32_t *epoch)
{
	struct owner_search search = { .up_to = up_to };
	int err = backup_bucket_list(b, "meta/", owner_take, &search);

	if (!err)
		*epoch = search.newest;
	return err;
}

int backup_owner_next(struct backup_bucket *b, uint32_t epoch)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	char key[OWNER_KEY];

	owner_key(epoch + 1, key);
	int err = backup_bucket_get(b, key, OWNER_MAX, &text);

	return err == -ENOENT ? 0 : err && err != -EFBIG ? err : 1;
}

static bool owner_id(const json_t *claim, const char *name, uint8_t id[16])
{
	const char *text = json_string_value(json_object_get(claim, name));

	return text && strlen(text) == 32 && !hex_decode(text, 32, id);
}

static int owner_parse(const struct buf *text, struct backup_owner *out)
{
	json_t *claim = json_loadb(buf_str(text), text->len, 0, NULL);
	const char *host = json_string_value(json_object_get(claim, "host"));
	const char *path = json_string_value(json_object_get(claim, "path"));
	int err = 0;

	*out = (struct backup_owner){ .at_ns = json_integer_value(
					      json_object_get(claim, "at_ns")) };
	if (!host || !path || !owner_id(claim, "library", out->library) ||
	    !owner_id(claim, "token", out->token) || !owner_id(claim, "machine", out->machine))
		err = ERR_CORRUPT;
	if (!err) {
		snprintf(out->host, sizeof(out->host), "%s", host);
		out->path = strdup(path);
		err = out->path ? 0 : -ENOMEM;
	}
	json_decref(claim);
	return err;
}

int backup_owner_read(struct backup_bucket *b, uint32_t epoch, struct backup_owner *out)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	char key[OWNER_KEY];
	int err;

	owner_key(epoch, key);
	err = backup_bucket_get(b, key, OWNER_MAX, &text);
	return err ? err : owner_parse(&text, out);
}

void backup_owner_release(struct backup_owner *o)
{
	free(o->path);
	o->path = NULL;
}

int backup_owner_claim(struct backup_bucket *b, uint32_t epoch, const struct backup_owner *o)
{
	char key[OWNER_KEY], library[HEX_TEXT_LEN(16)], token[HEX_TEXT_LEN(16)],
		machine[HEX_TEXT_LEN(16)];
	CLEANUP_FREE char *text = NULL;
	json_t *claim;

	owner_key(epoch, key);
	hex_encode(o->library, 16, library);
	hex_encode(o->token, 16, token);
	hex_encode(o->machine, 16, machine);
	/* A path that is no UTF-8 is not told. */
	claim = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "library", library, "token", token,
			  "machine", machine, "host", o->host, "path", o->path, "at_ns",
			  (json_int_t)o->at_ns);
	if (!claim)
		claim = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "library", library, "token",
				  token, "machine", machine, "host", "?", "path", "?", "at_ns",
				  (json_int_t)o->at_ns);
	text = claim ? json_dumps(claim, JSON_COMPACT) : NULL;
	json_decref(claim);
	return text ? backup_bucket_put(b, key, text, strlen(text), true) : -ENOMEM;
}

void backup_owner_tell(const struct backup_owner *o, struct buf *out)
{
	char at[TIME_TEXT_LEN];

	time_format(o->at_ns, at);
	buf_printf(out, "that of %s on %s, since %s", log_name(o->path, strlen(o->path)), o->host,
		   at);
}

static int owner_found(struct backup_bucket *b, struct buf *whose)
{
	struct backup_owner o = { 0 };
	uint32_t epoch = 0;
	int err = backup_owner_newest(b, BACKUP_EPOCH_MAX, &epoch);

	if (err || !epoch)
		return err;
	err = backup_owner_read(b, epoch, &o);
	if (!err)
		backup_owner_tell(&o, whose);
	backup_owner_release(&o);
	return err && err != ERR_CORRUPT && err != -ENOENT ? err : 1;
}

int backup_found(struct s3_client *client, struct buf *whose)
{
	struct backup_bucket bucket;

	backup_bucket_init(&bucket, client);
	int found = owner_found(&bucket, whose);

	backup_bucket_release(&bucket);
	return found;
}
