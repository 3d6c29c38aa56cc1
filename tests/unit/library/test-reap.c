/* SPDX-License-Identifier: GPL-3.0-or-later */
/* library/reap.h: what nothing needs goes from the bucket, in time; nothing else does, whatever comes back, fails or ends meanwhile. */
#include "config.h"

#include "reap-unit.h"

enum { HOUR_S = 3600 };

START_TEST(what_nothing_needs_goes)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap_facts facts;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	for (unsigned i = 0; i < 30; i++)
		reap_unit_chunk(&u, i, i % 3 == 0);
	for (unsigned i = 0; i < 5; i++)
		reap_unit_object(&u, i);
	/* Sent, but killed before that was written down. */
	reap_unit_put(&u, STORE_S3_CHUNKS, 50);
	reap_unit_row(&u, 50, false, false);
	reap_unit_collect(&u);
	ck_assert_uint_eq(reap_unit_waiting(&u), 26);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	for (unsigned i = 0; i < 30; i++)
		ck_assert_int_eq(reap_unit_has(&u, STORE_S3_CHUNKS, i), i % 3 == 0);
	ck_assert(!reap_unit_has(&u, STORE_S3_CHUNKS, 50));
	ck_assert_uint_eq(backup_unit_objects(&u, STORE_S3_MANIFESTS), 0);
	ck_assert_uint_eq(reap_unit_waiting(&u), 0);
	reap_facts(reap, &facts);
	ck_assert_uint_eq(facts.chunks, 21);
	ck_assert_uint_eq(facts.chunk_bytes, 21 * REAP_UNIT_SIZE);
	ck_assert_uint_eq(facts.manifests, 5);
	ck_assert_int_eq(facts.err, 0);
	ck_assert_int_ge(backup_ship_step(ship, true), 0);
	backup_unit_same(&u);
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* The time counts from when the backup knew. */
START_TEST(it_stays_for_a_while)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, HOUR_S * TIME_NS_PER_S, 0);
	reap_unit_chunk(&u, 1, false);
	reap_unit_collect(&u);
	reap_unit_sql(&u, "INSERT INTO tombstone_batch (id) VALUES (1)");
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	/* A clock that was wrong when it was written down. */
	reap_unit_sql(&u, "UPDATE tombstone_batch SET safe_ns = safe_ns + 400000000000000");
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	reap_unit_sql(&u, "UPDATE tombstone_batch SET safe_ns = safe_ns - 3500000000000");
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	reap_unit_sql(&u, "UPDATE tombstone_batch SET safe_ns = safe_ns - 200000000000");
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(!reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* States that name it cannot be deleted: then it is not, either. */
START_TEST(what_an_older_state_names_stays)
{
	struct fault denied = {
		.kind = FAULT_STATUS, .method = "DELETE", .status = 403, .code = "AccessDenied"
	};
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap_facts facts;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	reap_unit_chunk(&u, 1, false);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	reap_unit_collect(&u);
	server_fault(u.server, denied);
	ck_assert_int_eq(reap_unit_run(reap, ship), -EIO);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	ck_assert_uint_eq(reap_unit_waiting(&u), 1);
	reap_facts(reap, &facts);
	ck_assert_int_eq(facts.err, -EIO);
	ck_assert(strstr(facts.why, "older states"));
	server_heal(u.server);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(!reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	/* One segment with all, and the steps since. */
	ck_assert_uint_le(backup_unit_objects(&u, "meta/"), 5);
	ck_assert_int_ge(backup_ship_step(ship, true), 0);
	backup_unit_same(&u);
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* Those of another machine, which had the library before, too. */
START_TEST(what_an_older_epoch_names_stays)
{
	struct fault denied = {
		.kind = FAULT_STATUS, .method = "DELETE", .status = 403, .code = "AccessDenied"
	};
	struct backup_unit u;
	struct backup_ship *ship;
	uint64_t floor = 1;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap_unit_chunk(&u, 1, false);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_ship_free(ship);
	reap_unit_sql(&u, "UPDATE setting SET value = value");
	char path[128];

	snprintf(path, sizeof(path), "%s/backup", u.tree.path);
	ck_assert_int_eq(unlink(path), 0);
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	reap_unit_collect(&u);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	ck_assert_int_eq(backup_ship_floor(ship, &floor), 0);
	ck_assert_uint_eq(floor, 0);
	server_fault(u.server, denied);
	ck_assert_int_eq(reap_unit_run(reap, ship), -EIO);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	server_heal(u.server);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(!reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	ck_assert_int_eq(backup_ship_floor(ship, &floor), 0);
	ck_assert_uint_gt(floor, 0);
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

START_TEST(only_the_owner_deletes)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct backup_bucket b;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	reap_unit_chunk(&u, 1, false);
	reap_unit_collect(&u);
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	ck_assert_int_eq(backup_bucket_put(&b, "meta/claims/00000002", "{}", 2, true), 0);
	ck_assert_int_eq(reap_unit_run(reap, ship), -EEXIST);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	backup_bucket_release(&b);
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

START_TEST(what_comes_back_stays)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		reap_unit_chunk(&u, i, false);
	reap_unit_object(&u, 1);
	reap_unit_object(&u, 2);
	reap_unit_collect(&u);
	reap_unit_row(&u, 1, true, false);
	reap_unit_row(&u, 2, false, false);
	reap_unit_object(&u, 2);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(!reap_unit_has(&u, STORE_S3_CHUNKS, 0) && !reap_unit_has(&u, STORE_S3_CHUNKS, 3));
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1) && reap_unit_has(&u, STORE_S3_CHUNKS, 2));
	ck_assert(!reap_unit_has(&u, STORE_S3_MANIFESTS, 1));
	ck_assert(reap_unit_has(&u, STORE_S3_MANIFESTS, 2));
	ck_assert_uint_eq(reap_unit_waiting(&u), 0);
	/* And goes again. */
	reap_unit_collect(&u);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1) && !reap_unit_has(&u, STORE_S3_CHUNKS, 2));
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* Of the queue: what may be sent now. */
static int sendable(struct backup_unit *u)
{
	struct meta_op *op = meta_op_new();
	uint8_t owner[16] = { 9 };
	int64_t now = time_now_ns(), horizon = now + HOUR_S * TIME_NS_PER_S;

	META_ADD(op, UPLOAD_TAKE, META_ONE, -EAGAIN, META_I(now), META_I(horizon), META_I(1),
		 META_I(77), META_B(owner, 16), META_I(now));
	int err = meta_apply(u->tree.lib->meta, op);

	meta_op_free(op);
	return err;
}

/* A request of which nobody knows what became may still be under way: its names are not sent anew before it must be over. */
START_TEST(what_may_be_under_way_is_not_sent)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 300 * TIME_NS_PER_MS);
	reap_unit_chunk(&u, 1, false);
	reap_unit_collect(&u);
	server_fault(u.server, (struct fault){ .kind = FAULT_RESET, .method = "POST" });
	ck_assert_int_eq(reap_unit_run(reap, ship), ERR_UNCERTAIN);
	server_heal(u.server);
	/* It comes back, and would be found there. */
	reap_unit_sql(&u,
		      "INSERT INTO chunk (id, hash, size, refcount) SELECT 77, hash, size, 1 FROM "
		      "tombstone;"
		      "INSERT INTO upload (kind, target, size, queued_ns) VALUES (1, 77, 7, 1)");
	ck_assert_int_eq(sendable(&u), -EAGAIN);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert_int_eq(sendable(&u), -EAGAIN);
	usleep(310000);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert_int_eq(sendable(&u), 0);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* So it is with what a process took that is dead. */
START_TEST(what_a_dead_process_took_waits)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	for (unsigned i = 1; i <= 2; i++)
		reap_unit_chunk(&u, i, false);
	reap_unit_object(&u, 1);
	reap_unit_collect(&u);
	reap_unit_sql(&u,
		      "UPDATE tombstone SET owner = x'0102', until_ns = (strftime('%s') + 100) * "
		      "1000000000;"
		      "INSERT INTO chunk (id, hash, size, refcount) SELECT 77, hash, size, 1 FROM "
		      "tombstone"
		      " WHERE kind = 1 LIMIT 1;"
		      "INSERT INTO upload (kind, target, size, queued_ns) VALUES (1, 77, 7, 1)");
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 1) && reap_unit_has(&u, STORE_S3_CHUNKS, 2));
	ck_assert_int_eq(sendable(&u), -EAGAIN);
	/* Chunks do not go before manifests that may name them. */
	reap_unit_sql(&u, "UPDATE tombstone SET until_ns = 1 WHERE kind = 1");
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert_uint_eq(backup_unit_objects(&u, STORE_S3_CHUNKS), 2);
	ck_assert_int_eq(sendable(&u), 0);
	reap_unit_sql(&u, "UPDATE tombstone SET until_ns = 1");
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert_uint_eq(backup_unit_objects(&u, STORE_S3_CHUNKS), 1);
	ck_assert_uint_eq(backup_unit_objects(&u, STORE_S3_MANIFESTS), 0);
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* What a process is sending is not collected: it could arrive after it was deleted. */
START_TEST(what_is_being_sent_is_not_collected)
{
	struct backup_unit u;

	backup_unit_begin(&u, "");
	reap_unit_chunk(&u, 1, false);
	reap_unit_object(&u, 1);
	reap_unit_sql(&u, "INSERT INTO upload (kind, target, size, queued_ns, owner)"
			  " SELECT 1, chunk.id, 7, 1, instance.id FROM chunk, instance WHERE "
			  "ended_ns IS NULL;"
			  "INSERT INTO upload (kind, target, size, queued_ns, owner)"
			  " SELECT 2, object.id, 7, 1, instance.id FROM object, instance WHERE "
			  "ended_ns IS NULL");
	reap_unit_collect(&u);
	ck_assert_uint_eq(reap_unit_waiting(&u), 0);
	reap_unit_sql(&u, "UPDATE upload SET owner = NULL");
	reap_unit_collect(&u);
	ck_assert_uint_eq(reap_unit_waiting(&u), 2);
	backup_unit_end(&u);
}
END_TEST

START_TEST(one_by_one_where_the_server_wants_that)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap *reap;

	backup_unit_begin(&u, "");
	server_set_delete_many(u.server, false);
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	for (unsigned i = 0; i < 40; i++)
		reap_unit_chunk(&u, i, i == 7);
	reap_unit_collect(&u);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert_uint_eq(backup_unit_objects(&u, STORE_S3_CHUNKS), 1);
	ck_assert(reap_unit_has(&u, STORE_S3_CHUNKS, 7));
	ck_assert_uint_eq(reap_unit_waiting(&u), 0);
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

/* More than a request takes; a bucket that is away meanwhile. */
START_TEST(a_long_list)
{
	struct backup_unit u;
	struct backup_ship *ship;
	struct reap *reap;

	backup_unit_begin(&u, "");
	ship = backup_unit_begun(&u);
	reap = reap_unit_new(&u, 0, 0);
	reap_unit_sql(
		&u, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
		    " INSERT INTO chunk (id, hash, size, remote, freed_ns)"
		    " SELECT i + 1000000, CAST(printf('%032d', i) AS BLOB), 1, 1, 1 FROM n");
	reap_unit_chunk(&u, 1, false);
	reap_unit_collect(&u);
	ck_assert_uint_eq(reap_unit_waiting(&u), 2501);
	server_pause(u.server);
	ck_assert_int_lt(reap_unit_run(reap, ship), 0);
	server_resume(u.server);
	ck_assert_int_eq(reap_unit_run(reap, ship), 0);
	ck_assert_uint_eq(reap_unit_waiting(&u), 0);
	ck_assert(!reap_unit_has(&u, STORE_S3_CHUNKS, 1));
	reap_free(reap);
	backup_ship_free(ship);
	backup_unit_end(&u);
}
END_TEST

START_TEST(a_mount_does_it_by_itself)
{
	struct backup_unit u;
	int64_t until = time_mono_ns() + 60 * TIME_NS_PER_S;
	struct backup_status status;

	backup_unit_begin(&u, "[s3]\ndelete-after = 0\n");
	library_close(u.tree.lib);
	ck_assert_int_eq(library_open(u.tree.path, LIBRARY_MOUNT, &u.tree.lib), 0);
	reap_unit_chunk(&u, 1, false);
	reap_unit_chunk(&u, 2, true);
	reap_unit_collect(&u);
	ck_assert_int_eq(library_start(u.tree.lib), 0);
	do {
		usleep(10000);
		backup_status(u.tree.lib, &status);
	} while (!status.reap.chunks && time_mono_ns() < until);
	ck_assert_uint_eq(status.reap.chunks, 1);
	ck_assert(!reap_unit_has(&u, STORE_S3_CHUNKS, 1) && reap_unit_has(&u, STORE_S3_CHUNKS, 2));
	backup_unit_end(&u);
}
END_TEST

UNIT_MAIN("reap", 120, a_mount_does_it_by_itself, what_nothing_needs_goes, it_stays_for_a_while,
	  what_an_older_state_names_stays, what_an_older_epoch_names_stays, only_the_owner_deletes,
	  what_comes_back_stays, what_may_be_under_way_is_not_sent, what_a_dead_process_took_waits,
	  what_is_being_sent_is_not_collected, one_by_one_where_the_server_wants_that, a_long_list)
