/* SPDX-License-Identifier: GPL-3.0-or-later */
/* library/control.h: requests and answers, and what clients that mean no good can do. */
#include "config.h"

#include "file-unit.h"
#include "library/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { SILENT = 24, CALL_MS = UNIT_PATIENCE_MS };

static json_t *call(struct lab *lab, const char *request)
{
	json_t *answer = NULL;

	ck_assert_int_eq(control_call(lab->path, request, CALL_MS, &answer), 0);
	return answer;
}

static void expect_ok(struct lab *lab, const char *request)
{
	json_t *answer = call(lab, request);

	ck_assert_msg(json_is_true(json_object_get(answer, "ok")), "%s", request);
	json_decref(answer);
}

static void expect_refused(struct lab *lab, const char *request, int err)
{
	json_t *answer = call(lab, request);

	ck_assert_msg(json_is_false(json_object_get(answer, "ok")), "%s", request);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "errno")), err);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
}

static int raw_connect(const char *library)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int dir = open(library, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", dir);
	int rc = connect(fd, (struct sockaddr *)&address, sizeof(address));

	close(dir);
	ck_assert_int_eq(rc, 0);
	return fd;
}

/* Whether the other side cuts the connection within the time. */
static bool is_cut(int fd, int ms)
{
	int64_t end = time_mono_ns() + ms * TIME_NS_PER_MS;
	char bytes[512];

	while (time_mono_ns() < end) {
		struct pollfd one = { .fd = fd, .events = POLLIN };

		if (poll(&one, 1, 50) > 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return true;
	}
	return false;
}

START_TEST(requests_are_answered)
{
	struct lab lab;
	struct node node;
	char name[600];
	struct stat st;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	snprintf(name, sizeof(name), "%s/control", lab.path);
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(control_describe(lab.lib, "mountpoint", "/mnt/x"), 0);
	lab_sync(&lab); /* the sealer has looked for drafts of before */
	struct file *f = lab_create(&lab, "a", &node);
	int64_t b = lab_put(&lab, "b", "hello", 5);

	ck_assert_int_eq(file_write(f, "abc", 3, 0), 3);
	json_t *answer = call(&lab, "{\"do\": \"status\"}");

	ck_assert_str_eq(json_string_value(json_object_get(answer, "mountpoint")), "/mnt/x");
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "pid")), getpid());
	json_t *files = json_object_get(answer, "files");

	ck_assert_int_eq(json_integer_value(json_object_get(files, "writing")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(answer, "sealing"),
							    "pending_files")),
			 1);
	json_decref(answer);
	expect_ok(&lab, "{\"do\":\"flush\"}");
	answer = call(&lab, "{\"do\":\"sync\"}");
	ck_assert(json_is_true(json_object_get(answer, "ok")));
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "skipped")), 1);
	json_decref(answer);
	ck_assert_int_ne(lab_node(&lab, b).object, 0);
	expect_ok(&lab, "{\"do\":\"poke\"}");
	lab_close_file(f, O_RDWR);
	lab_remove(&lab);
}
END_TEST

static void *close_soon(void *arg)
{
	usleep(200 * 1000);
	lab_close_file(arg, O_RDWR);
	return NULL;
}

/* Whether what is closed a little after a sync was asked for is sealed by it. */
static bool is_waited_for(struct lab *lab, int try)
{
	pthread_t thread;
	struct node node;
	char name[] = { (char)('a' + try), 0 };
	struct file *f = lab_create(lab, name, &node);

	ck_assert_int_eq(file_write(f, "abc", 3, 0), 3);
	ck_assert_int_eq(pthread_create(&thread, NULL, close_soon, f), 0);
	json_t *answer = call(lab, "{\"do\":\"sync\"}");
	bool all = json_integer_value(json_object_get(answer, "skipped")) == 0;

	json_decref(answer);
	pthread_join(thread, NULL);
	ck_assert(!all || lab_node(lab, node.ino).object);
	return all;
}

/* A mount hears of a close(2) some time after it; unless the machine stands still that is soon enough. */
START_TEST(a_sync_waits_a_moment_for_what_is_open)
{
	struct lab lab;
	int tries = 0;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	while (!is_waited_for(&lab, tries))
		ck_assert_int_lt(++tries, 10);
	lab_remove(&lab);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	static const char *const wrong[] = { "{\"do\":\"dance\"}",
					     "{}",
					     "[]",
					     "nonsense",
					     "{\"do\":7}",
					     "{\"do\":",
					     "",
					     "{\"do\":\"status\",\"do\":\"sync\"}",
					     "null",
					     "\"\\ud800\"" };
	struct lab lab;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		expect_refused(&lab, wrong[i], -EINVAL);
	expect_ok(&lab, "{\"do\":\"status\"}");
	lab_remove(&lab);
}
END_TEST

START_TEST(garbage_does_no_harm)
{
	struct lab lab;
	static uint8_t bytes[300000];
	uint64_t seed = 5;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	for (int i = 0; i < 30; i++) {
		int fd = raw_connect(lab.path);
		size_t len = lab_random(&seed) % 5000;

		lab_fill(&seed, bytes, len);
		(void)send(fd, bytes, len, MSG_NOSIGNAL);
		close(fd);
	}
	int fd = raw_connect(lab.path);

	memset(bytes, 'x', sizeof(bytes));
	(void)send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	ck_assert(is_cut(fd, CALL_MS));
	close(fd);
	expect_ok(&lab, "{\"do\":\"status\"}");
	lab_remove(&lab);
}
END_TEST

START_TEST(several_requests_in_one_piece)
{
	static const char text[] = "{\"do\":\"poke\"}\n{\"do\":\"sync\"}\n{\"do\":\"status\"}\n";
	struct lab lab;
	char got[4096];
	size_t len = 0, lines = 0;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int fd = raw_connect(lab.path);

	ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	while (lines < 3 && len < sizeof(got)) {
		ssize_t n = recv(fd, got + len, sizeof(got) - len, 0);

		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++)
			lines += got[len + (size_t)i] == '\n';
		len += (size_t)n;
	}
	ck_assert_uint_eq(lines, 3);
	close(fd);
	lab_remove(&lab);
}
END_TEST

START_TEST(silent_clients_are_cut_off)
{
	struct lab lab;
	int fds[SILENT];

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	for (int i = 0; i < SILENT; i++)
		fds[i] = raw_connect(lab.path);
	expect_ok(&lab, "{\"do\":\"status\"}");
	for (int i = 0; i < SILENT; i++) {
		ck_assert(is_cut(fds[i], CALL_MS));
		close(fds[i]);
	}
	lab_remove(&lab);
}
END_TEST

START_TEST(a_long_path_is_reached)
{
	struct lab lab;
	char dir[64], deep[400];
	int dir_fd = unit_make_dir(dir);

	snprintf(deep, sizeof(deep), "%s/%0200d", dir, 7);
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	lab_make(&lab, deep, LAB_LAZY);
	lab_open(&lab);
	expect_ok(&lab, "{\"do\":\"status\"}");
	lab_remove(&lab);
	unit_remove_dir(dir, dir_fd);
}
END_TEST

START_TEST(nobody_mounts_it)
{
	struct lab lab;
	char name[600];

	lab_make(&lab, NULL, LAB_LAZY);
	ck_assert_int_eq(control_call(lab.path, "{\"do\":\"status\"}", CALL_MS, NULL), -ENOENT);
	pid_t pid = fork();

	if (pid == 0) {
		lab_open(&lab);
		(void)kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(control_call(lab.path, "{\"do\":\"status\"}", CALL_MS, NULL),
			 -ECONNREFUSED);
	lab_open(&lab);
	expect_ok(&lab, "{\"do\":\"status\"}");
	lab_close(&lab);
	snprintf(name, sizeof(name), "%s/control", lab.path);
	ck_assert_int_eq(access(name, F_OK), -1);
	ck_assert_int_eq(control_call(lab.path, "{\"do\":\"status\"}", CALL_MS, NULL), -ENOENT);
	lab_remove(&lab);
}
END_TEST

UNIT_MAIN("control", 60, requests_are_answered, a_sync_waits_a_moment_for_what_is_open,
	  what_makes_no_sense_is_refused, garbage_does_no_harm, several_requests_in_one_piece,
	  silent_clients_are_cut_off, a_long_path_is_reached, nobody_mounts_it)
