/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The upload queue and everything that goes wrong on its way: nothing is lost, nothing wrong is believed to be there, and a bucket that is away
 * is not asked without end. And it is killed, again and again, while it sends.
 */
#include "config.h"

#include "upload-unit.h"

#include <signal.h>
#include <sys/wait.h>

enum { LEN = 100000, COUNT = 8 };

/* Whatever goes wrong a few times at the start, all arrives. */
static void check_passing(struct fault fault)
{
	struct asset assets[COUNT];
	struct lab lab;

	lab_open(&lab);
	lab_fill(&lab, assets, COUNT, LEN, 1);
	lab.params.deadline_ns = TIME_NS_PER_S;
	lab.stall_s = 1;
	server_fault(lab.server, fault);
	lab_start(&lab);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	ck_assert_uint_gt(server_faults(lab.server), 0);
	lab_close(&lab);
}

START_TEST(passing_faults)
{
	static const struct fault faults[] = {
		{ FAULT_STATUS, .count = 9, .status = 500, .code = "InternalError" },
		{ FAULT_STATUS, .count = 8, .status = 503, .code = "SlowDown" },
		{ FAULT_STATUS, .count = 5, .status = 403, .code = "AccessDenied" },
		{ FAULT_RESET, .count = 8 },
		{ FAULT_LOST_REPLY, .count = 8 },
		{ FAULT_SPOIL_UPLOAD, .count = 10 },
		{ FAULT_RESET_UPLOAD, .count = 10 },
		{ FAULT_WRONG_CHECKSUM, .count = 10 },
		{ FAULT_GARBAGE, .count = 5 },
		{ FAULT_HANG, .count = 2 },
	};

	check_passing(faults[_i]);
}
END_TEST

static unsigned requests(struct lab *lab)
{
	return server_requests(lab->server, "PUT") + server_requests(lab->server, "GET");
}

/* A bucket that is away is asked now and then, by one request, and what is kept back is told. */
static void check_away(struct lab *lab, const struct asset *assets)
{
	struct upload_status st;
	unsigned asked;

	do {
		usleep(1000);
		upload_status(lab->upload, &st);
	} while (!st.err);
	ck_assert(*st.why);
	int64_t begun = time_mono_ns();

	asked = requests(lab);
	usleep(200000);
	asked = requests(lab) - asked;
	/* Pauses of 20 ms and more, two tries in each. */
	ck_assert_int_le(asked, 40 * (time_mono_ns() - begun) / (200 * TIME_NS_PER_MS));
	ck_assert_uint_eq(lab_backlog(lab).objects, COUNT);
	ck_assert_int_eq(upload_object_state(lab->w.meta, assets[0].object), 0);
}

START_TEST(a_bucket_that_goes_and_comes)
{
	struct asset assets[COUNT];
	struct lab lab;

	lab_open(&lab);
	lab_fill(&lab, assets, COUNT, LEN, 3);
	server_set_bucket(lab.server, false);
	lab_start(&lab);
	check_away(&lab, assets);
	server_set_bucket(lab.server, true);
	server_pause(lab.server);
	check_away(&lab, assets);
	server_resume(lab.server);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	struct upload_status st;

	upload_status(lab.upload, &st);
	ck_assert_int_eq(st.err, 0);
	ck_assert_str_eq(st.why, "");
	lab_close(&lab);
}
END_TEST

/* Requests that hang are given up when someone wants all to be tried now, and not before the server would be asked again. */
START_TEST(a_hurry_cuts_off_what_hangs)
{
	struct asset assets[COUNT];
	struct upload_status st;
	struct lab lab;

	lab_open(&lab);
	lab.stall_s = 60;
	lab_fill(&lab, assets, COUNT, LEN, 4);
	/* One for the list of what is there, of which nothing is told, and one for what is sent. */
	server_fault(lab.server, (struct fault){ FAULT_STATUS, .count = 2, .status = 403 });
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG });
	lab_start(&lab);
	do {
		usleep(1000);
		upload_status(lab.upload, &st);
	} while (!st.err || server_faults(lab.server) < 3 || !st.flying);
	server_heal(lab.server);
	upload_kick(lab.upload, true);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	lab_close(&lab);
}
END_TEST

/* A stop cuts off what hangs, and leaves it free for the next. */
START_TEST(a_stop_waits_for_nothing)
{
	struct asset assets[COUNT];
	struct lab lab;

	lab_open(&lab);
	lab.stall_s = UNIT_PATIENCE_MS / 1000;
	lab_fill(&lab, assets, COUNT, LEN, 5);
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG });
	lab_start(&lab);
	while (!server_faults(lab.server))
		usleep(1000);
	int64_t begun = time_mono_ns();

	lab_stop(&lab);
	ck_assert_int_lt(time_mono_ns() - begun, UNIT_PATIENCE_NS / 2);
	server_heal(lab.server);
	lab_start(&lab);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	lab_close(&lab);
}
END_TEST

static int end_row(void *arg, const struct meta_row *row)
{
	size_t len;
	const void *id = meta_row_bytes(row, 0, &len);

	META_ADD(arg, INSTANCE_END, META_ANY, 0, META_B(id, len), META_I(3));
	return 0;
}

/* What opening a library does: those that were killed are known to be dead. */
static void end_the_dead(const char *db)
{
	struct meta_op *op = meta_op_new();
	struct meta *m = NULL;

	ck_assert_int_eq(meta_open(db, 0, &m), 0);
	ck_assert_int_ge(meta_query(m, META_INSTANCE_OPEN, 0, NULL, end_row, op), 0);
	ck_assert_int_eq(meta_apply(m, op), 0);
	meta_op_free(op);
	meta_close(m);
}

/* A process of its own, that sends until it is killed: this program once more, for a fork of one with threads may not do much. */
static pid_t send_apart(const struct lab *lab)
{
	char exe[512] = "";

	/* Its name, since under valgrind the link itself is that of valgrind. */
	ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof(exe) - 1), 0);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	execl(exe, "sender", lab->w.dir, lab->url, NULL);
	_exit(127);
}

static const char *sender_dir, *sender_url;

START_TEST(sending)
{
	struct lab lab = { .url = sender_url, .connections = 2 };

	snprintf(lab.w.dir, sizeof(lab.w.dir), "%s", sender_dir);
	snprintf(lab.w.db, sizeof(lab.w.db), "%s/garner.db", sender_dir);
	snprintf(lab.w.store, sizeof(lab.w.store), "%s/blobs", sender_dir);
	lab.w.params = (struct content_params){ .chunker = WORLD_SMALL,
						.algo = HASH_SHA256,
						.remote = true };
	end_the_dead(lab.w.db);
	world_enter(&lab.w, 0);
	lab_start(&lab);
	for (;;)
		pause();
}
END_TEST

static unsigned rounds(void)
{
	const char *text = getenv("GARNER_UPLOAD_KILLS");

	return text ? (unsigned)atoi(text) : (20 + unit_stride() - 1) / unit_stride();
}

/* More to send in each round, sealed while nobody sends. Then a process that is killed as it sends. */
static bool kill_one(struct lab *lab, struct asset *assets, uint64_t *state)
{
	pid_t pid;
	int status;

	lab_fill(lab, assets, 5, 2 * LEN, stream_next(state));
	world_leave(&lab->w);
	pid = send_apart(lab);
	usleep(5000 + (useconds_t)stream_below(state, 40000));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	end_the_dead(lab->w.db);
	world_enter(&lab->w, 0);
	return lab_backlog(lab).chunks > 0;
}

/* Killed at random moments it goes on where it was; in the end all is there, and right. */
START_TEST(killed_again_and_again)
{
	struct asset *assets = calloc(5 * rounds(), sizeof(*assets));
	uint64_t state = (uint64_t)time_now_ns();
	unsigned unfinished = 0;
	struct lab lab;

	lab_open(&lab);
	for (unsigned i = 0; i < rounds(); i++)
		unfinished += kill_one(&lab, &assets[5 * i], &state);
	/* A kill after the end would show nothing. */
	ck_assert_uint_gt(unfinished, rounds() / 10);
	lab_start(&lab);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, 5 * rounds());
	world_check(&lab.w);
	free(assets);
	lab_close(&lab);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("upload-fault");
	TCase *tcase = tcase_create("upload-fault");
	SRunner *runner = srunner_create(suite);

	if (argc == 3) {
		sender_dir = argv[1];
		sender_url = argv[2];
		tcase_add_test(tcase, sending);
		suite_add_tcase(suite, tcase);
		srunner_set_fork_status(runner, CK_NOFORK);
		srunner_run_all(runner, CK_SILENT);
		return EXIT_FAILURE;
	}
	tcase_set_timeout(tcase, 150 + rounds());
	tcase_add_loop_test(tcase, passing_faults, 0, 10);
	tcase_add_test(tcase, a_bucket_that_goes_and_comes);
	tcase_add_test(tcase, a_hurry_cuts_off_what_hangs);
	tcase_add_test(tcase, a_stop_waits_for_nothing);
	tcase_add_test(tcase, killed_again_and_again);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
