/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The backup of the metadata: what the bucket has is what the library has, however often the process begins anew, whatever the server, the disk and a power cut do; segments are merged
 * and their number stays small; what is not ours is refused and left alone.
 */
#include "config.h"

#include "backup-unit.h"
#include "library/backup.h"

enum { STEPS = 240, FAULT_STEPS = 2, PAGE = 4096 };

static void copy_file(const char *from, const char *to)
{
	struct buf text = BUF_INIT;

	ck_assert_int_eq(io_read_file(AT_FDCWD, from, 64 << 20, &text), 0);
	/* Written over, not replaced: another descriptor may be open on it. */
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_full(fd, text.data, text.len), 0);
	close(fd);
	buf_release(&text);
}

START_TEST(segments_come_back)
{
	static const uint32_t counts[] = { 0, 1, 2047, 2048, 2049, 5000 };
	struct buf body = BUF_INIT, raw = BUF_INIT;

	for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
		struct backup_segment_head head = { .page_size = 512,
						    .from = 3,
						    .to = 9,
						    .count = 10000,
						    .at_ns = -5 },
					   got;
		struct backup_segment *s = backup_segment_new(&head, AT_FDCWD);
		unsigned char page[512];
		uint32_t seen = 0, number;

		for (uint32_t i = 0; i < counts[c]; i++) {
			memset(page, (int)i * 7, sizeof(page));
			ck_assert_int_eq(backup_segment_add(s, 2 * i + 1, page), 0);
		}
		ck_assert_int_eq(backup_segment_end(s, 77), 0);
		ck_assert_uint_eq(backup_segment_pages(s), counts[c]);
		for (uint32_t p = 0; p < backup_segment_parts(s); p++) {
			buf_reset(&body);
			ck_assert_int_eq(backup_segment_body(s, p, &body), 0);
			ck_assert_int_eq(backup_segment_read(body.data, body.len, &got, &raw), 0);
			ck_assert(got.from == 3 && got.to == 9 && got.part == p &&
				  got.count == 10000 && got.at_ns == -5);
			ck_assert_uint_eq(got.last, p == backup_segment_parts(s) - 1);
			ck_assert(!got.last || got.sum == 77);
			for (uint32_t i = 0; i < got.pages; i++, seen++) {
				memset(page, (int)seen * 7, sizeof(page));
				ck_assert_mem_eq(backup_segment_page(&got, &raw, i, &number), page,
						 sizeof(page));
				ck_assert_uint_eq(number, 2 * seen + 1);
			}
			for (size_t i = 0; i < body.len; i += 1 + body.len / 50) {
				body.data[i] ^= 4;
				ck_assert_int_eq(
					backup_segment_read(body.data, body.len, &got, &raw),
					ERR_CORRUPT);
				ck_assert_int_eq(backup_segment_read(body.data, i, &got, &raw),
						 ERR_CORRUPT);
				body.data[i] ^= 4;
			}
		}
		ck_assert_uint_eq(seen, counts[c]);
		backup_segment_free(s);
	}
	buf_release(&body);
	buf_release(&raw);
}
END_TEST

START_TEST(keys_are_read_as_they_are_written)
{
	struct backup_segment_name name = { 0xfedcba98, 0x123456789ab, 0xfffffffffff, 0x1f,
					    0xffff },
				   got;
	char key[BACKUP_SEGMENT_KEY_MAX];

	backup_segment_key(&name, key);
	ck_assert_str_eq(key, "meta/fedcba98/0fffffffffff-0123456789ab-001f-ffff");
	ck_assert(backup_segment_parse(key, &got));
	ck_assert(got.epoch == name.epoch && got.from == name.from && got.to == name.to &&
		  got.part == name.part && got.parts == name.parts);
	ck_assert(!backup_segment_parse("meta/00000001/config", &got));
	ck_assert(!backup_segment_parse("meta/00000001/00000000000a-00000000000a-0000-0001", &got));
	ck_assert(!backup_segment_parse("meta/00000001/00000000000b-00000000000a-0001-0001", &got));
	ck_assert(!backup_segment_parse("meta/00000001/00000000000B-00000000000a-0000-0001", &got));
	ck_assert(
		!backup_segment_parse("meta/00000001/00000000000b-00000000000a-0000-0001x", &got));
}
END_TEST

/* The ship is left as a crash leaves it; sometimes its file is as a power cut may leave it. */
static struct backup_ship *crash(struct backup_unit *u, struct backup_ship *ship, bool power)
{
	char now[128], saved[128];

	snprintf(now, sizeof(now), "%s/backup", u->tree.path);
	snprintf(saved, sizeof(saved), "%s/saved", u->tree.dir);
	backup_ship_free(ship);
	if (power && !access(saved, F_OK))
		copy_file(saved, now);
	ship = backup_unit_begun(u);
	copy_file(now, saved);
	return ship;
}

START_TEST(follows_the_library)
{
	struct backup_unit u;
	unsigned most = 0;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	for (unsigned i = 0; i < STEPS / unit_stride() + 60; i++) {
		backup_unit_change(u.tree.lib, &u.tree.who, i,
				   i % 50 ? 1 + backup_unit_dice(&u, 3) : 400);
		if (backup_unit_dice(&u, 20) == 0)
			ship = crash(&u, ship, backup_unit_dice(&u, 2));
		ck_assert_int_eq(backup_ship_step(ship, false), 1);
		while (backup_unit_dice(&u, 4) && backup_ship_merge(ship) > 0)
			continue;
		if (i % 30 == 29)
			backup_unit_same(&u);
		if (i > 40 && i % 10 == 0) {
			unsigned count = backup_unit_objects(&u, "meta/00000001/");

			most = count > most ? count : most;
		}
	}
	ck_assert_int_eq(backup_ship_step(ship, false), 0);
	backup_unit_same(&u);
	ck_assert_uint_lt(most, 80);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* The database is as of before what was sent last, as after a power cut. */
START_TEST(the_database_may_fall_back)
{
	struct backup_unit u;
	char db[128], old[128];

	backup_unit_begin(&u, "");
	snprintf(db, sizeof(db), "%s/garner.db", u.tree.path);
	snprintf(old, sizeof(old), "%s/old", u.tree.dir);
	struct backup_ship *ship = backup_unit_begun(&u);

	backup_unit_change(u.tree.lib, &u.tree.who, 1, 50);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	ck_assert_int_eq(meta_copy(u.tree.lib->meta, old), 0);
	backup_unit_change(u.tree.lib, &u.tree.who, 2, 200);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_ship_free(ship);
	library_close(u.tree.lib);
	copy_file(old, db);
	tree_unit_open(&u.tree);
	ship = backup_unit_begun(&u);
	backup_unit_change(u.tree.lib, &u.tree.who, 3, 3);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_unit_same(&u);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

START_TEST(a_server_that_goes_wrong)
{
	static const struct fault faults[] = {
		{ .kind = FAULT_STATUS,
		  .method = "PUT",
		  .status = 503,
		  .code = "SlowDown",
		  .count = 2 },
		{ .kind = FAULT_STATUS, .method = "PUT", .status = 403, .code = "AccessDenied" },
		{ .kind = FAULT_LOST_REPLY, .method = "PUT", .count = 1 },
		{ .kind = FAULT_LOST_REPLY, .method = "PUT" },
		{ .kind = FAULT_RESET_UPLOAD, .method = "PUT", .count = 2 },
		{ .kind = FAULT_SPOIL_UPLOAD, .method = "PUT", .count = 1 },
		{ .kind = FAULT_GARBAGE, .count = 3 },
	};
	struct backup_unit u;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	for (unsigned i = 0; i < FAULT_STEPS * sizeof(faults) / sizeof(*faults); i++) {
		backup_unit_change(u.tree.lib, &u.tree.who, i, 5);
		server_fault(u.server, faults[i % (sizeof(faults) / sizeof(*faults))]);
		int err = backup_ship_step(ship, false);

		ck_assert_int_ne(err, 0);
		ck_assert_int_ne(err, -EEXIST);
		ck_assert(err > 0 || *backup_ship_why(ship));
		server_heal(u.server);
		ck_assert_int_ge(backup_ship_step(ship, false), 0);
		backup_unit_same(&u);
		while (backup_ship_merge(ship) > 0)
			continue;
	}
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

static void *cancel_soon(void *ship)
{
	usleep(100000);
	backup_ship_cancel(ship);
	return NULL;
}

START_TEST(who_waits_can_be_cut_short)
{
	struct backup_unit u;
	pthread_t thread;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);
	int64_t began = time_mono_ns();

	server_fault(u.server, (struct fault){ .kind = FAULT_HANG });
	ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, ship), 0);
	ck_assert_int_eq(backup_ship_step(ship, false), -ECANCELED);
	pthread_join(thread, NULL);
	ck_assert_int_eq(backup_ship_step(ship, false), -ECANCELED);
	ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 4);
	backup_ship_free(ship);
	server_heal(u.server);
	backup_unit_end(&u);
}
END_TEST

START_TEST(segments_that_are_lost_or_damaged)
{
	struct backup_unit u;
	struct backup_bucket b;
	uint64_t before, there = 0;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	ck_assert_int_eq(backup_unit_there(&u, &there, NULL), -ENODATA);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_unit_change(u.tree.lib, &u.tree.who, 1, 9);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	before = backup_unit_here(u.tree.path);
	backup_unit_change(u.tree.lib, &u.tree.who, 2, 9);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_ship_free(ship);
	/* Without the last, it is as before that; the next process makes what is missing anew. */
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	ck_assert_int_eq(
		backup_bucket_delete(&b, "meta/00000001/000000000003-000000000002-0000-0001"), 0);
	ck_assert_int_eq(backup_unit_there(&u, &there, NULL), 0);
	ck_assert(there == before);
	ship = backup_unit_begun(&u);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_unit_same(&u);
	/* Without all, too. */
	for (unsigned i = 1; i < 9; i++) {
		char key[64];

		snprintf(key, sizeof(key), "meta/00000001/%012x-%012x-0000-0001", i, i - 1);
		ck_assert_int_eq(backup_bucket_delete(&b, key), 0);
		snprintf(key, sizeof(key), "meta/00000001/%012x-%012x-0000-0001", i, 0);
		ck_assert_int_eq(backup_bucket_delete(&b, key), 0);
	}
	ck_assert_int_eq(backup_unit_there(&u, &there, NULL), -ENODATA);
	backup_ship_free(ship);
	ship = backup_unit_begun(&u);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_unit_same(&u);
	backup_ship_free(ship);
	/* One that is not what it was is no backup. */
	ck_assert_int_eq(backup_bucket_put(&b, "meta/00000001/0000000000ff-000000000000-0000-0001",
					   "garnmeta?", 9, false),
			 0);
	ck_assert_int_eq(backup_unit_there(&u, &there, NULL), -ESTALE);
	backup_bucket_release(&b);
	backup_unit_end(&u);
}
END_TEST

/* A copy of a library, another library, and a machine that comes too late. */
START_TEST(two_owners)
{
	struct backup_unit u;
	struct library_params params = { .mode = 0755 };
	char copy[128], other[128], command[512];
	struct library *second, *third;
	uint64_t there = 0;

	backup_unit_begin(&u, "");
	snprintf(copy, sizeof(copy), "%s/copy", u.tree.dir);
	snprintf(other, sizeof(other), "%s/other", u.tree.dir);
	struct backup_ship *ship = backup_unit_begun(&u), *ship2, *ship3;

	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_ship_free(ship);
	library_close(u.tree.lib);
	snprintf(command, sizeof(command), "cp -a %s %s", u.tree.path, copy);
	ck_assert_int_eq(system(command), 0);
	tree_unit_open(&u.tree);
	ck_assert_int_eq(library_open(copy, 0, &second), 0);
	ck_assert_int_eq(library_init(other, &params), 0);
	ck_assert_int_eq(library_open(other, 0, &third), 0);

	/* A copy cannot know that it is one; who comes second is told. */
	ship = backup_unit_begun(&u);
	ship2 = backup_unit_ship(second, server_url(u.server));
	ck_assert_int_eq(backup_ship_begin(ship2, false), 0);
	backup_unit_change(u.tree.lib, &u.tree.who, 1, 5);
	ck_assert_int_ge(backup_ship_step(ship, false), 0);
	ck_assert_int_eq(backup_ship_step(ship2, false), -EEXIST);
	ck_assert_ptr_nonnull(strstr(backup_ship_why(ship2), "copy"));
	backup_unit_same(&u);

	/* It may take over, and then the first is told with its next step, and when it begins anew. */
	backup_ship_free(ship2);
	ship2 = backup_unit_ship(second, server_url(u.server));
	ck_assert_int_eq(backup_ship_begin(ship2, false), -EEXIST);
	ck_assert_int_eq(backup_ship_begin(ship2, true), 0);
	ck_assert_int_eq(backup_ship_step(ship2, false), 1);
	backup_unit_change(u.tree.lib, &u.tree.who, 2, 5);
	ck_assert_int_eq(backup_ship_step(ship, false), -EEXIST);
	ck_assert_ptr_nonnull(strstr(backup_ship_why(ship), "taken the backup over"));
	ck_assert_int_eq(backup_unit_there(&u, &there, NULL), 0);
	ck_assert(there == backup_unit_here(copy));
	backup_ship_free(ship);
	ship = backup_unit_ship(u.tree.lib, server_url(u.server));
	ck_assert_int_eq(backup_ship_begin(ship, false), -EEXIST);
	ck_assert_ptr_nonnull(strstr(backup_ship_why(ship), "/copy"));

	/* Another library has no right to it at all. */
	ship3 = backup_unit_ship(third, server_url(u.server));
	ck_assert_int_eq(backup_ship_begin(ship3, false), -EEXIST);
	ck_assert_int_eq(backup_ship_begin(ship3, true), -EEXIST);
	ck_assert_ptr_nonnull(strstr(backup_ship_why(ship3), "another library"));
	backup_ship_free(ship);
	backup_ship_free(ship2);
	backup_ship_free(ship3);
	library_close(second);
	library_close(third);
	backup_unit_end(&u);
}
END_TEST

/* Numbers that are all taken: that is no backup. */
START_TEST(a_step_that_cannot_be_made_is_told)
{
	struct backup_unit u;
	struct backup_bucket b;
	struct buf body = BUF_INIT;
	char key[64];

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	ck_assert_int_eq(backup_bucket_get(&b, "meta/00000001/000000000001-000000000000-0000-0001",
					   1 << 20, &body),
			 0);
	for (unsigned i = 2; i < 7; i++) {
		snprintf(key, sizeof(key), "meta/00000001/%012x-%012x-0000-0001", i, 1);
		ck_assert_int_eq(backup_bucket_put(&b, key, body.data, body.len, false), 0);
	}
	backup_unit_change(u.tree.lib, &u.tree.who, 1, 5);
	ck_assert_int_eq(backup_ship_step(ship, false), -EAGAIN);
	for (unsigned i = 2; i < 7; i++) {
		snprintf(key, sizeof(key), "meta/00000001/%012x-%012x-0000-0001", i, 1);
		ck_assert_int_eq(backup_bucket_delete(&b, key), 0);
	}
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_unit_same(&u);
	buf_release(&body);
	backup_bucket_release(&b);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* A segment of one epoch that was on its way when another began does not come into that. */
START_TEST(what_was_on_its_way_is_left)
{
	struct backup_unit u;
	struct backup_bucket b;
	struct backup_ship_facts facts = { .merging = false };
	struct buf claim = BUF_INIT;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	for (unsigned i = 0; !facts.merging; i++) {
		backup_unit_change(u.tree.lib, &u.tree.who, i, 1);
		ck_assert_int_eq(backup_ship_step(ship, false), 1);
		if (!i) {
			while (backup_ship_merge(ship) > 0)
				continue;
		}
		backup_ship_facts(ship, &facts);
	}
	/* Another one's claim. */
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	ck_assert_int_eq(backup_bucket_get(&b, "meta/claims/00000001", 1 << 20, &claim), 0);
	ck_assert_int_eq(backup_bucket_put(&b, "meta/claims/00000002", claim.data, claim.len, true),
			 0);
	backup_unit_change(u.tree.lib, &u.tree.who, 100, 5);
	ck_assert_int_eq(backup_ship_step(ship, true), -EEXIST);
	ck_assert_int_eq(backup_ship_begin(ship, true), 0);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	while (backup_ship_merge(ship) > 0)
		continue;
	backup_unit_same(&u);
	buf_release(&claim);
	backup_bucket_release(&b);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* Numbers that nobody has come to: what is there is found in a few steps, and nothing comes after the last of them. */
START_TEST(claims_far_away)
{
	static const char *const keys[] = { "meta/claims/00abcdef", "meta/claims/7fffffff",
					    "meta/claims/ffffffff" };
	struct restore_result out = { 0 };
	struct backup_unit u;
	struct backup_bucket b;
	uint64_t there = 0;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		ck_assert_int_eq(backup_bucket_put(&b, keys[i], "?", 1, true), 0);
	unsigned before = server_requests(u.server, "GET");

	ck_assert_int_eq(backup_unit_there(&u, &there, &out), 0);
	ck_assert(there == backup_unit_here(u.tree.path));
	ck_assert_uint_eq(out.epoch, 1);
	ck_assert_uint_lt(server_requests(u.server, "GET") - before, 30);
	backup_ship_free(ship);
	ship = backup_unit_ship(u.tree.lib, server_url(u.server));
	ck_assert_int_eq(backup_ship_begin(ship, true), 0);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	ck_assert_int_eq(backup_unit_there(&u, &there, &out), 0);
	ck_assert_uint_eq(out.epoch, 0x80000000);
	backup_ship_free(ship);
	ck_assert_int_eq(backup_bucket_put(&b, "meta/claims/fffffffe", "?", 1, true), 0);
	ship = backup_unit_ship(u.tree.lib, server_url(u.server));
	ck_assert_int_eq(backup_ship_begin(ship, true), -EEXIST);
	ck_assert_ptr_nonnull(strstr(backup_ship_why(ship), "fffffffe"));
	ck_assert_int_eq(backup_unit_there(&u, &there, &out), 0);
	backup_ship_free(ship);
	backup_bucket_release(&b);
	backup_unit_end(&u);
}
END_TEST

UNIT_MAIN("backup", 120, segments_come_back, keys_are_read_as_they_are_written, follows_the_library,
	  the_database_may_fall_back, a_server_that_goes_wrong, who_waits_can_be_cut_short,
	  segments_that_are_lost_or_damaged, two_owners, a_step_that_cannot_be_made_is_told,
	  what_was_on_its_way_is_left, claims_far_away)
