/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/keeper.h */
#include "config.h"

#include "../unit.h"
#include "backend/s3/keeper.h"
#include "util/cleanup.h"
#include "util/time.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* What the next searches give. */
static struct {
	atomic_int err;
	atomic_int life_ms; /* 0: for ever */
	atomic_int delay_ms;
	atomic_uint searches, changes;
} script;

static int find(const char *profile, const bool *stop, struct s3_credentials *out, struct buf *why)
{
	char id[16];

	ck_assert_str_eq(profile, "p");
	for (int ms = 0; ms < script.delay_ms && !__atomic_load_n(stop, __ATOMIC_RELAXED); ms++)
		usleep(1000);
	snprintf(id, sizeof id, "key-%u", ++script.searches);
	if (script.err) {
		buf_add_str(why, "as told");
		return script.err;
	}
	*out = (struct s3_credentials){ .id = strdup(id), .secret = strdup("s") };
	if (script.life_ms)
		out->expires_ns = time_now_ns() + script.life_ms * TIME_NS_PER_MS;
	return 0;
}

static void note_change(void *arg)
{
	++*(atomic_uint *)arg;
}

static struct s3_keeper *keeper_new(void)
{
	struct s3_keeper *k;

	memset(&script, 0, sizeof script);
	ck_assert_int_eq(s3_keeper_new("p", find, note_change, &script.changes, &k), 0);
	return k;
}

static int wait_for(struct s3_keeper *k, struct s3_credentials *out, int64_t ms)
{
	return s3_keeper_wait(k, time_mono_ns() + ms * TIME_NS_PER_MS, out, NULL);
}

static void check_id(struct s3_keeper *k, const char *id)
{
	struct s3_credentials c;

	ck_assert_int_eq(wait_for(k, &c, UNIT_PATIENCE_MS), 0);
	ck_assert_str_eq(c.id, id);
	s3_credentials_release(&c);
}

START_TEST(found_once)
{
	struct s3_keeper *k = keeper_new();
	struct s3_credentials c;

	script.delay_ms = 50;
	ck_assert_int_eq(s3_keeper_get(k, &c, NULL), -EAGAIN);
	ck_assert_int_eq(s3_keeper_get(k, &c, NULL), -EAGAIN);
	for (int i = 0; i < 20; i++)
		check_id(k, "key-1");
	ck_assert_int_eq(s3_keeper_get(k, &c, NULL), 0);
	s3_credentials_release(&c);
	s3_keeper_free(k);
	ck_assert_uint_eq(script.changes, 1);
}
END_TEST

START_TEST(refused)
{
	struct s3_keeper *k = keeper_new();
	struct s3_credentials c, other = { 0 };

	ck_assert_int_eq(wait_for(k, &c, UNIT_PATIENCE_MS), 0);
	/* Someone else's refusal of older keys says nothing of these. */
	other.id = strdup("key-0");
	other.secret = strdup("s");
	s3_keeper_refused(k, &other);
	check_id(k, "key-1");
	s3_keeper_refused(k, &c);
	s3_keeper_refused(k, &c);
	check_id(k, "key-2");
	s3_keeper_refused(k, &c);
	check_id(k, "key-2");
	s3_credentials_release(&c);
	s3_credentials_release(&other);
	s3_keeper_free(k);
}
END_TEST

START_TEST(not_found)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct s3_keeper *k = keeper_new();
	struct s3_credentials c;

	script.err = -ENOKEY;
	ck_assert_int_eq(s3_keeper_wait(k, time_mono_ns() + UNIT_PATIENCE_NS, &c, &why), -ENOKEY);
	ck_assert_str_eq(buf_str(&why), "as told");
	/* The same for a while, without another search. */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(s3_keeper_get(k, &c, NULL), -ENOKEY);
	ck_assert_uint_eq(script.searches, 1);
	s3_keeper_free(k);
}
END_TEST

/* Whether those that are found are good all the time, until others were found three times. */
static bool is_renewed(void)
{
	struct s3_keeper *k = keeper_new();
	struct s3_credentials c;
	bool good = true;

	script.life_ms = 600;
	ck_assert_int_eq(wait_for(k, &c, UNIT_PATIENCE_MS), 0);
	s3_credentials_release(&c);
	while (good && script.searches < 4) {
		good = s3_keeper_get(k, &c, NULL) == 0;
		if (good) {
			good = c.expires_ns > time_now_ns();
			s3_credentials_release(&c);
		}
		usleep(5000);
	}
	s3_keeper_free(k);
	return good;
}

/* Before they lapse others are there, without anyone's waiting, wherever the machine does not stand still for that long. */
START_TEST(renewed_in_time)
{
	int tries = 0;

	while (!is_renewed())
		ck_assert_int_lt(++tries, 20);
}
END_TEST

/* When no others are found, the old ones serve to their end, and not beyond. */
START_TEST(not_renewed)
{
	struct s3_keeper *k = keeper_new();
	struct s3_credentials c;

	script.life_ms = 600;
	ck_assert_int_eq(wait_for(k, &c, UNIT_PATIENCE_MS), 0);
	int64_t end = c.expires_ns;

	s3_credentials_release(&c);
	script.err = -ENOENT;
	while (script.searches < 2)
		usleep(1000);
	if (s3_keeper_get(k, &c, NULL))
		ck_assert_int_ge(time_now_ns(), end);
	else
		s3_credentials_release(&c);
	usleep(600000);
	ck_assert_int_eq(wait_for(k, &c, UNIT_PATIENCE_MS), -ENOENT);
	s3_keeper_free(k);
}
END_TEST

START_TEST(ended_while_searching)
{
	int64_t began = time_mono_ns();
	struct s3_keeper *k = keeper_new();
	struct s3_credentials c;

	script.delay_ms = UNIT_PATIENCE_MS;
	ck_assert_int_eq(wait_for(k, &c, 50), -ETIMEDOUT);
	s3_keeper_free(k);
	ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
	s3_keeper_free(NULL);
	/* Never asked: there was never a thread. */
	s3_keeper_free(keeper_new());
}
END_TEST

UNIT_MAIN("s3/keeper", 30, found_once, refused, not_found, renewed_in_time, not_renewed,
	  ended_while_searching)
