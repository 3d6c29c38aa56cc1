/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the upload queue share: a world with a bucket on a test server, an engine on a thread, and what the server has in the end. */
#ifndef GARNER_TESTS_UNIT_CONTENT_UPLOAD_UNIT_H
#define GARNER_TESTS_UNIT_CONTENT_UPLOAD_UNIT_H

#include "../s3/server.h"
#include "backend/store/store-s3.h"
#include "content/manifest.h"
#include "content/upload.h"
#include "util/err.h"
#include "util/time.h"
#include "world.h"

#include <pthread.h>

struct lab {
	struct world w;
	struct server *server;
	const char *url;
	struct upload_params params;
	struct upload *upload;
	pthread_t thread;
	unsigned connections, stall_s; /* 0: what is usual */
};

static inline int lab_find(const char *profile, const bool *stop, struct s3_credentials *out,
			   struct buf *why)
{
	(void)profile;
	(void)stop;
	(void)why;
	*out = (struct s3_credentials){ .id = strdup(SERVER_KEY),
					.secret = strdup(SERVER_SECRET),
					.found = "test" };
	return 0;
}

static inline struct s3_client *lab_client(struct lab *lab)
{
	struct s3_settings s = { .stall_s = lab->stall_s,
				 .attempts = 2,
				 .connections = lab->connections };
	struct s3_client *client = NULL;
	struct buf why = BUF_INIT;

	ck_assert_int_eq(s3_settings_url(&s, "s3://" SERVER_BUCKET, &why), 0);
	ck_assert_int_eq(s3_settings_endpoint(&s, lab->url, &why), 0);
	s.region = strdup("us-east-1");
	ck_assert_int_eq(s3_client_new(&s, lab_find, &client), 0);
	s3_settings_release(&s);
	buf_release(&why);
	return client;
}

static inline void lab_open(struct lab *lab)
{
	*lab = (struct lab){ .server = server_start() };
	lab->url = server_url(lab->server);
	lab->params = (struct upload_params){ .pause_ns = 20 * TIME_NS_PER_MS };
	world_open(&lab->w);
	world_leave(&lab->w);
	lab->w.params.remote = true;
	world_enter(&lab->w, 0);
}

static inline void *lab_run(void *arg)
{
	upload_run(arg);
	return NULL;
}

static inline void lab_start(struct lab *lab)
{
	struct s3_client *client = lab_client(lab);

	ck_assert_int_eq(upload_new(lab->w.content, &client, &lab->params, &lab->upload), 0);
	ck_assert_ptr_null(client);
	ck_assert_int_eq(pthread_create(&lab->thread, NULL, lab_run, lab->upload), 0);
}

static inline void lab_stop(struct lab *lab)
{
	if (!lab->upload)
		return;
	upload_stop(lab->upload);
	pthread_join(lab->thread, NULL);
	upload_free(lab->upload);
	lab->upload = NULL;
}

static inline void lab_close(struct lab *lab)
{
	lab_stop(lab);
	world_close(&lab->w);
	server_stop(lab->server);
}

static inline struct upload_mark lab_mark(struct lab *lab)
{
	struct upload_mark mark;

	ck_assert_int_eq(upload_mark(lab->w.meta, &mark), 0);
	return mark;
}

/* Waits until what upload_left() says of all there is now is `wanted`. */
static inline void lab_wait(struct lab *lab, int wanted)
{
	struct upload_mark mark = lab_mark(lab);
	int64_t until = time_mono_ns() + UNIT_PATIENCE_NS;
	int left;

	while ((left = upload_left(lab->w.meta, &mark)) != wanted && time_mono_ns() < until)
		usleep(2000);
	ck_assert_int_eq(left, wanted);
}

static inline struct upload_backlog lab_backlog(struct lab *lab)
{
	struct upload_backlog b;

	ck_assert_int_eq(upload_backlog(lab->w.meta, &b), 0);
	return b;
}

/* What the server has is what the rows say, and all of it. */
struct lab_check {
	struct lab *lab;
	size_t chunks, manifests, missing, wrong;
};

static inline int lab_check_chunk(void *arg, const struct meta_row *row)
{
	struct lab_check *k = arg;
	char key[STORE_S3_KEY_LEN];
	size_t len, there = 0;
	const void *hash = meta_row_bytes(row, 1, &len);
	struct hash got;
	void *bytes;

	if (!hash || meta_row_int(row, 3) <= 0)
		return 0;
	store_s3_key(STORE_S3_CHUNKS, hash, key);
	bytes = server_object(k->lab->server, key, &there);
	k->chunks++;
	k->missing += !bytes;
	if (bytes)
		ck_assert_int_eq(hash_data(HASH_SHA256, bytes, there, &got), 0);
	k->wrong += bytes && memcmp(got.b, hash, HASH_LEN) != 0;
	free(bytes);
	return 0;
}

/* Each manifest in the bucket names itself. */
static inline void lab_check_object(struct lab_check *k, int64_t object, const uint8_t *root)
{
	char key[STORE_S3_KEY_LEN];
	size_t there = 0;
	struct hash got;
	void *bytes;

	store_s3_key(STORE_S3_MANIFESTS, root, key);
	bytes = server_object(k->lab->server, key, &there);
	k->manifests++;
	k->missing += !bytes;
	if (bytes)
		ck_assert_int_eq(hash_data(HASH_SHA256, bytes, there, &got), 0);
	k->wrong += bytes && memcmp(got.b, root, HASH_LEN) != 0;
	free(bytes);
	ck_assert_int_eq(upload_object_state(k->lab->w.meta, object), 1);
}

static inline int lab_root_row(void *arg, const struct meta_row *row)
{
	size_t len;

	memcpy(arg, meta_row_bytes(row, 0, &len), HASH_LEN);
	return 1;
}

/* All chunks, and the manifests of these assets, are there and right, and nothing waits. The number of chunks. */
static inline size_t lab_check(struct lab *lab, const struct asset *assets, size_t count)
{
	struct lab_check k = { .lab = lab };
	struct upload_backlog b = lab_backlog(lab);
	uint8_t root[HASH_LEN];

	ck_assert_int_ge(META_QUERY(lab->w.meta, CHECK_PLACES, lab_check_chunk, &k, META_I(0),
				    META_I(1000000)),
			 0);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(META_QUERY(lab->w.meta, IMPORT_ROOT, lab_root_row, root,
					    META_I(assets[i].object)),
				 1);
		lab_check_object(&k, assets[i].object, root);
	}
	ck_assert_uint_eq(k.missing, 0);
	ck_assert_uint_eq(k.wrong, 0);
	ck_assert_uint_eq(b.chunks + b.objects, 0);
	return k.chunks;
}

/* Seals `count` assets, the largest of `len` bytes. */
static inline void lab_fill(struct lab *lab, struct asset *assets, size_t count, size_t len,
			    uint64_t seed)
{
	for (size_t i = 0; i < count; i++) {
		size_t size = len >> (i % 5);
		uint8_t *data = stream_new(seed + i, size);

		asset_of(&lab->w, &assets[i], data, size);
		free(data);
	}
}

#endif
