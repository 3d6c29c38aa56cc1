/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backend/store/store-s3.h: what it has beyond the calls of every store, and what it makes of a server that
 * goes wrong.
 */
#include "config.h"

#include "store-unit.h"
#include "util/cleanup.h"

#include <stdatomic.h>

enum { LEN = 200000 };

struct lab {
	struct fixture f;
	struct server *server;
	struct chunk chunk;
};

/* A store of few tries and little time on a server that can go wrong. */
static void lab_open(struct lab *lab, unsigned timeout_ms)
{
	struct s3_settings settings = { .attempts = 3, .connections = 4 };
	struct s3_client *client = NULL;
	struct buf why = BUF_INIT;

	*lab = (struct lab){ .server = server_start(), .chunk = chunk_make(1, LEN) };
	ck_assert_int_eq(s3_settings_url(&settings, "s3://" SERVER_BUCKET "/a/b", &why), 0);
	ck_assert_int_eq(s3_settings_endpoint(&settings, server_url(lab->server), &why), 0);
	ck_assert_int_eq(s3_client_new(&settings, fixture_find, &client), 0);
	ck_assert_int_eq(store_s3_open(&client, fixture_verify, NULL, timeout_ms, &lab->f.store),
			 0);
	lab->f.kind = FIXTURE_S3;
	lab->f.server = lab->server;
	s3_settings_release(&settings);
	buf_release(&why);
}

static void lab_close(struct lab *lab)
{
	fixture_close(&lab->f);
	chunk_free(&lab->chunk);
}

struct ended {
	atomic_uint count;
	atomic_long result;
	char why[200];
};

static void note_end(void *arg, ssize_t result, const char *why)
{
	struct ended *e = arg;

	snprintf(e->why, sizeof e->why, "%s", why);
	e->result = result;
	e->count++;
}

/* What the transfer ended with. */
static ssize_t wait_for(struct ended *e)
{
	int64_t until = time_mono_ns() + UNIT_PATIENCE_NS;

	while (!e->count && time_mono_ns() < until)
		usleep(1000);
	ck_assert_uint_eq(e->count, 1);
	ck_assert_int_eq(e->result < 0, *e->why != '\0');
	return e->result;
}

static int64_t in_ms(int64_t ms)
{
	return time_mono_ns() + ms * TIME_NS_PER_MS;
}

static int read_chunk(void *arg, void *buf, size_t len, uint64_t off)
{
	const struct chunk *c = arg;

	ck_assert_uint_le(off + len, c->len);
	memcpy(buf, c->bytes + off, len);
	return 0;
}

static ssize_t put(struct lab *lab, const struct store_s3_source *source, int64_t ms)
{
	struct ended e = { 0 };

	ck_assert_int_eq(store_s3_submit_put(lab->f.store, lab->chunk.name, source, in_ms(ms),
					     note_end, &e, NULL),
			 0);
	return wait_for(&e);
}

static ssize_t get(struct lab *lab, void *buf, size_t len, uint64_t off)
{
	struct ended e = { 0 };

	ck_assert_int_eq(store_s3_submit_get(lab->f.store, lab->chunk.name, buf, len, off,
					     in_ms(UNIT_PATIENCE_MS), note_end, &e, NULL),
			 0);
	return wait_for(&e);
}

START_TEST(without_waiting)
{
	struct lab lab;
	uint8_t *back = malloc(LEN + 10);

	lab_open(&lab, 0);
	ck_assert_int_eq(get(&lab, back, LEN, 0), -ENOENT);
	ck_assert_int_eq(put(&lab,
			     &(struct store_s3_source){ .bytes = lab.chunk.bytes, .len = LEN },
			     UNIT_PATIENCE_MS),
			 0);
	ck_assert(chunk_is_there(lab.f.store, &lab.chunk));
	ck_assert_int_eq(get(&lab, back, LEN + 10, 0), LEN);
	ck_assert_mem_eq(back, lab.chunk.bytes, LEN);
	ck_assert_int_eq(get(&lab, back, 100, LEN - 10), 10);
	ck_assert_mem_eq(back, lab.chunk.bytes + LEN - 10, 10);
	ck_assert_int_eq(get(&lab, back, 100, LEN), 0);
	free(back);
	lab_close(&lab);
}
END_TEST

START_TEST(from_a_reader)
{
	struct lab lab;
	struct store_s3_source source = { .read = read_chunk, .len = LEN, .if_absent = true };

	lab_open(&lab, 0);
	source.read_arg = &lab.chunk;
	/* Read later, it cannot be hashed before it is signed. */
	ck_assert_int_eq(store_s3_submit_put(lab.f.store, lab.chunk.name, &source, in_ms(1000),
					     note_end, NULL, NULL),
			 -EINVAL);
	source.sha256 = lab.chunk.name;
	ck_assert_int_eq(put(&lab, &source, UNIT_PATIENCE_MS), 0);
	ck_assert(chunk_is_there(lab.f.store, &lab.chunk));
	ck_assert_int_eq(put(&lab, &source, UNIT_PATIENCE_MS), -EEXIST);
	source.len = 0;
	ck_assert_int_eq(store_s3_submit_put(lab.f.store, lab.chunk.name, &source, in_ms(1000),
					     note_end, NULL, NULL),
			 -EINVAL);
	lab_close(&lab);
}
END_TEST

START_TEST(many_at_a_time)
{
	enum { COUNT = 100 };
	struct chunk chunks[COUNT];
	struct ended ended = { 0 };
	struct lab lab;
	int64_t until = in_ms(UNIT_PATIENCE_MS);

	lab_open(&lab, 0);
	for (unsigned i = 0; i < COUNT; i++) {
		struct store_s3_source source = { .len = 1000 + i };

		chunks[i] = chunk_make(i, source.len);
		source.bytes = chunks[i].bytes;
		ck_assert_int_eq(store_s3_submit_put(lab.f.store, chunks[i].name, &source, until,
						     note_end, &ended, NULL),
				 0);
	}
	while (ended.count < COUNT && time_mono_ns() < until)
		usleep(1000);
	ck_assert_uint_eq(ended.count, COUNT);
	ck_assert_uint_le(server_most(lab.server), 4);
	for (unsigned i = 0; i < COUNT; i++) {
		ck_assert(chunk_is_there(lab.f.store, &chunks[i]));
		chunk_free(&chunks[i]);
	}
	lab_close(&lab);
}
END_TEST

START_TEST(cancelled)
{
	struct ended e = { 0 };
	struct lab lab;
	uint64_t ticket;
	uint8_t byte;

	lab_open(&lab, 0);
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG });
	ck_assert_int_eq(store_s3_submit_get(lab.f.store, lab.chunk.name, &byte, 1, 0,
					     in_ms(UNIT_PATIENCE_MS), note_end, &e, &ticket),
			 0);
	while (server_faults(lab.server) == 0)
		usleep(1000);
	store_s3_cancel(lab.f.store, ticket);
	ck_assert_int_eq(wait_for(&e), -ECANCELED);
	server_heal(lab.server);
	ck_assert_int_eq(chunk_put(lab.f.store, &lab.chunk), 0);
	lab_close(&lab);
}
END_TEST

/* Everything that is not `there` or `not there` is an error. */
START_TEST(a_server_in_trouble)
{
	static const struct {
		struct fault fault;
		int has, put;
	} list[] = {
		{ { .kind = FAULT_RESET }, -ECONNRESET, ERR_UNCERTAIN },
		{ { .kind = FAULT_STATUS, .status = 500 }, -EIO, ERR_UNCERTAIN },
		{ { .kind = FAULT_STATUS, .status = 503, .code = "SlowDown" }, -EBUSY, -EBUSY },
		{ { .kind = FAULT_STATUS, .status = 403, .code = "AccessDenied" },
		  -EACCES,
		  -EACCES },
		{ { .kind = FAULT_STATUS, .status = 404, .code = "NoSuchBucket" },
		  -ENODEV,
		  -ENODEV },
	};
	struct store_info info;
	struct lab lab;

	lab_open(&lab, UNIT_PATIENCE_MS);
	ck_assert_int_eq(chunk_put(lab.f.store, &lab.chunk), 0);
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		int64_t began = time_mono_ns();

		server_fault(lab.server, list[i].fault);
		ck_assert_int_eq(store_has(lab.f.store, lab.chunk.name), list[i].has);
		ck_assert_int_eq(chunk_put(lab.f.store, &lab.chunk), list[i].put);
		ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
		server_heal(lab.server);
		ck_assert(chunk_is_there(lab.f.store, &lab.chunk));
	}
	server_fault(lab.server, (struct fault){ .kind = FAULT_STATUS, .status = 403 });
	ck_assert_int_eq(store_stat(lab.f.store, lab.chunk.name, &info), -EACCES);
	ck_assert_int_eq(store_delete(lab.f.store, lab.chunk.name), -EACCES);
	ck_assert_int_eq(store_scan(lab.f.store, lab.chunk.name), -EACCES);
	server_heal(lab.server);
	ck_assert_int_eq(store_scan(lab.f.store, lab.chunk.name), 0);
	lab_close(&lab);
}
END_TEST

START_TEST(a_server_that_hangs)
{
	int64_t began = time_mono_ns();
	struct lab lab;

	lab_open(&lab, 1500);
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG });
	ck_assert_int_eq(store_has(lab.f.store, lab.chunk.name), -ETIMEDOUT);
	unsigned faults = server_faults(lab.server);
	int put = chunk_put(lab.f.store, &lab.chunk);

	/* A machine may stand still until it is too late to send it. */
	ck_assert(put == ERR_UNCERTAIN ||
		  (put == -ETIMEDOUT && server_faults(lab.server) == faults));
	ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
	lab_close(&lab);
}
END_TEST

START_TEST(bits_that_turn)
{
	struct lab lab;

	lab_open(&lab, 0);
	/* On the way there: the server refuses, another try comes. */
	server_fault(lab.server,
		     (struct fault){ .kind = FAULT_SPOIL_UPLOAD, .method = "PUT", .count = 1 });
	ck_assert_int_eq(chunk_put(lab.f.store, &lab.chunk), 0);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), 2);
	ck_assert(chunk_is_there(lab.f.store, &lab.chunk));
	server_heal(lab.server);
	/* On the way back: whoever verifies finds it. (The first GET learns the size.) */
	server_fault(
		lab.server,
		(struct fault){ .kind = FAULT_CORRUPT, .method = "GET", .skip = 1, .count = 1 });
	ck_assert_int_eq(store_scan(lab.f.store, lab.chunk.name), ERR_CORRUPT);
	ck_assert_int_eq(store_scan(lab.f.store, lab.chunk.name), 0);
	lab_close(&lab);
}
END_TEST

START_TEST(health)
{
	struct store_health h;
	struct lab lab;

	lab_open(&lab, UNIT_PATIENCE_MS);
	server_set_bucket(lab.server, false);
	ck_assert_int_eq(store_health(lab.f.store, &h), 0);
	ck_assert_int_eq(h.status, -ENODEV);
	server_set_bucket(lab.server, true);
	ck_assert_int_eq(store_health(lab.f.store, &h), 0);
	ck_assert_int_eq(h.status, 0);
	server_pause(lab.server);
	ck_assert_int_eq(store_health(lab.f.store, &h), -ECONNREFUSED);
	server_resume(lab.server);
	lab_close(&lab);
}
END_TEST

static int count_chunk(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size)
{
	(void)name;
	(void)size;
	++*(unsigned *)arg;
	return 0;
}

/* What others keep in the bucket is nobody's chunk, also when a page has nothing else, or ends with it. */
START_TEST(keys_of_others)
{
	static const char *const keys[] = { "chunks/",     "chunks/note.txt", "chunks/ABCDEF",
					    "chunks/~",    "chunks-2/x",      "chunk",
					    "chunks/%zz/", "manifests/x" };
	unsigned count = 0;
	struct lab lab;

	lab_open(&lab, 0);
	ck_assert_int_eq(chunk_put(lab.f.store, &lab.chunk), 0);
	for (unsigned i = 0; i < 300 + sizeof keys / sizeof *keys; i++) {
		char key[120];
		struct s3_request r = { .verb = S3_PUT, .key = key, .body = "x", .body_len = 1 };

		/* More than a page of names that begin as a chunk's does. */
		if (i < 300)
			snprintf(key, sizeof key, "chunks/%064u.tmp", i);
		else
			snprintf(key, sizeof key, "%s", keys[i - 300]);
		r.deadline_ns = in_ms(UNIT_PATIENCE_MS);
		ck_assert_int_eq(s3_client_call(store_s3_client(lab.f.store), &r, NULL), 0);
	}
	ck_assert_int_eq(store_list(lab.f.store, NULL, count_chunk, &count), 0);
	ck_assert_uint_eq(count, 1);
	lab_close(&lab);
}
END_TEST

START_TEST(lists_that_break)
{
	unsigned count = 0;
	struct lab lab;

	lab_open(&lab, 0);
	for (unsigned i = 0; i < 300; i++) {
		struct chunk c = chunk_make(i, 20);

		ck_assert_int_eq(chunk_put(lab.f.store, &c), 0);
		chunk_free(&c);
	}
	/* In the middle of a page that is asked for again: none is told twice, none is left out. */
	server_fault(lab.server,
		     (struct fault){ .kind = FAULT_CUT, .method = "GET", .skip = 1, .count = 1 });
	ck_assert_int_eq(store_list(lab.f.store, NULL, count_chunk, &count), 0);
	ck_assert_uint_eq(count, 300);
	server_heal(lab.server);
	/* A page that is no page. */
	server_fault(lab.server,
		     (struct fault){
			     .kind = FAULT_STATUS, .method = "GET", .status = 200, .code = "x" });
	ck_assert_int_eq(store_list(lab.f.store, NULL, count_chunk, &count), -EPROTO);
	ck_assert_uint_eq(count, 300);
	lab_close(&lab);
}
END_TEST

START_TEST(urls)
{
	bool stop = false;
	struct s3_http_answer answer;
	char url[2000];
	ssize_t len;
	struct lab lab;

	lab_open(&lab, 0);
	ck_assert_int_eq(chunk_put(lab.f.store, &lab.chunk), 0);
	len = store_url(lab.f.store, lab.chunk.name, 60, url, sizeof url);
	ck_assert_int_eq(len, (ssize_t)strlen(url));
	ck_assert_int_eq(s3_http_fetch("GET", url, "", UNIT_PATIENCE_MS, &stop, &answer), 0);
	ck_assert_int_eq(answer.status, 200);
	ck_assert_uint_eq(answer.text.len, LEN);
	ck_assert_mem_eq(answer.text.data, lab.chunk.bytes, LEN);
	buf_release(&answer.text);
	ck_assert_int_eq(store_url(lab.f.store, lab.chunk.name, 60, url, (size_t)len), -ERANGE);
	ck_assert_int_eq(store_url(lab.f.store, lab.chunk.name, 0, url, sizeof url), -EINVAL);
	ck_assert(!strstr(url, SERVER_SECRET));
	lab_close(&lab);
}
END_TEST

UNIT_MAIN("store/s3", 60, without_waiting, from_a_reader, many_at_a_time, cancelled,
	  a_server_in_trouble, a_server_that_hangs, bits_that_turn, health, keys_of_others,
	  lists_that_break, urls)
