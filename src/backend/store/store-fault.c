/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store that goes wrong as told. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/store/store-fault.h"
#include "util/lock.h"
#include "util/time.h"

struct rule {
	struct store_fault_rule told;
	uint64_t seen; /* calls that it was for */
};

struct fault {
	struct store store;
	struct store *inner;

	struct lock lock; /* guards all that follows */
	uint64_t random;
	uint64_t calls[STORE_FAULT_CALLS];
	uint64_t fired;
	size_t rule_count;
	struct rule rules[];
};

static struct fault *fault_of(struct store *s)
{
	return (struct fault *)s;
}

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). */
static uint64_t random_locked(struct fault *f) LOCK_REQUIRES(&f->lock)
{
	uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Every rule counts and draws at each of its calls, so that one rule does not shift another. */
static bool fires_locked(struct fault *f, struct rule *rule) LOCK_REQUIRES(&f->lock)
{
	rule->seen++;
	if (rule->told.nth)
		return rule->seen == rule->told.nth;
	return random_locked(f) % 1000000 < rule->told.chance;
}

static void wait_ms(unsigned ms)
{
	struct timespec rest = time_to_spec(ms * TIME_NS_PER_MS);

	while (ms > 0 && nanosleep(&rest, &rest) < 0 && errno == EINTR)
		continue;
}

/* Counts the call and waits as told; *fault says what else is to happen, all zero for nothing. */
static void begin(struct fault *f, enum store_fault_call call, struct store_fault_rule *fault)
{
	bool found = false;

	memset(fault, 0, sizeof *fault);
	lock_lock(&f->lock);
	f->calls[call]++;
	for (size_t i = 0; i < f->rule_count; i++) {
		struct rule *rule = &f->rules[i];

		if (!(rule->told.on & 1U << call) || !fires_locked(f, rule) || found)
			continue;
		*fault = rule->told;
		found = true;
		f->fired++;
	}
	lock_unlock(&f->lock);
	wait_ms(fault->delay_ms);
}

/* The error instead of the inner call, 0 if that is to be made. */
static int before(const struct store_fault_rule *fault)
{
	return fault->after ? 0 : fault->error;
}

static ssize_t after(const struct store_fault_rule *fault, ssize_t result)
{
	return fault->after && fault->error && result >= 0 ? fault->error : result;
}

static void fault_close(struct store *s)
{
	struct fault *f = fault_of(s);

	store_close(f->inner);
	lock_release(&f->lock);
	free(f);
}

static int fault_has(struct store *s, const uint8_t *name)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_HAS, &fault);
	if (before(&fault))
		return before(&fault);
	return (int)after(&fault, store_has(f->inner, name));
}

static int fault_stat(struct store *s, const uint8_t *name, struct store_info *out)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_STAT, &fault);
	if (before(&fault))
		return before(&fault);
	return (int)after(&fault, store_stat(f->inner, name, out));
}

static int fault_put(struct store *s, const uint8_t *name, const void *bytes, size_t len)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_PUT, &fault);
	if (before(&fault))
		return before(&fault);
	return (int)after(&fault, store_put(f->inner, name, bytes, len));
}

/* At least one byte of those that `count` says, and not the last. */
static ssize_t cut(struct fault *f, ssize_t count)
{
	if (count < 2)
		return count;
	lock_lock(&f->lock);
	count = 1 + (ssize_t)(random_locked(f) % (uint64_t)(count - 1));
	lock_unlock(&f->lock);
	return count;
}

static ssize_t fault_get(struct store *s, const uint8_t *name, void *buf, size_t len, uint64_t off)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;
	ssize_t count;

	begin(f, STORE_FAULT_GET, &fault);
	if (before(&fault))
		return before(&fault);
	count = after(&fault, store_get(f->inner, name, buf, len, off));
	return fault.cut ? cut(f, count) : count;
}

static int fault_del(struct store *s, const uint8_t *name)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_DEL, &fault);
	if (before(&fault))
		return before(&fault);
	return (int)after(&fault, store_delete(f->inner, name));
}

static int fault_list(struct store *s, const uint8_t *from, store_list_fn *fn, void *arg)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_LIST, &fault);
	if (before(&fault))
		return before(&fault);
	return (int)after(&fault, store_list(f->inner, from, fn, arg));
}

static ssize_t fault_url(struct store *s, const uint8_t *name, unsigned seconds, char *out,
			 size_t size)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_URL, &fault);
	if (before(&fault))
		return before(&fault);
	return after(&fault, store_url(f->inner, name, seconds, out, size));
}

static int fault_scan(struct store *s, const uint8_t *name)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_SCAN, &fault);
	if (before(&fault))
		return before(&fault);
	return (int)after(&fault, store_scan(f->inner, name));
}

static int fault_health(struct store *s, struct store_health *out)
{
	struct fault *f = fault_of(s);
	struct store_fault_rule fault;

	begin(f, STORE_FAULT_HEALTH, &fault);
	if (before(&fault))
		return before(&fault);
	return (int)after(&fault, store_health(f->inner, out));
}

static const struct store_ops store_fault_ops = {
	.scheme = "fault",
	.close = fault_close,
	.has = fault_has,
	.stat = fault_stat,
	.put = fault_put,
	.get = fault_get,
	.del = fault_del,
	.list = fault_list,
	.url = fault_url,
	.scan = fault_scan,
	.health = fault_health,
};

int store_fault_new(struct store **inner, const struct store_fault_rule *rules, size_t count,
		    uint64_t seed, struct store **out)
{
	struct fault *f = calloc(1, sizeof *f + count * sizeof *f->rules);

	if (!f)
		return -ENOMEM;
	f->store.ops = &store_fault_ops;
	f->store.flags = (*inner)->flags;
	f->inner = *inner;
	*inner = NULL;
	f->random = seed;
	f->rule_count = count;
	for (size_t i = 0; i < count; i++)
		f->rules[i].told = rules[i];
	lock_init(&f->lock, LOCK_RANK_STORE);
	*out = &f->store;
	return 0;
}

uint64_t store_fault_count(struct store *s, enum store_fault_call call)
{
	struct fault *f = fault_of(s);
	uint64_t count;

	lock_lock(&f->lock);
	count = f->calls[call];
	lock_unlock(&f->lock);
	return count;
}

uint64_t store_fault_fired(struct store *s)
{
	struct fault *f = fault_of(s);
	uint64_t fired;

	lock_lock(&f->lock);
	fired = f->fired;
	lock_unlock(&f->lock);
	return fired;
}
