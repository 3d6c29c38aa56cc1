/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A backup of which something in the bucket is damaged, cut short or gone. What comes back is the newest state that whole segments lead to, exactly; without the option it is refused, and the state named, when
 * a newer one was there. Random chains of made-up pages are held against a search of all ways, a library's own against what it was; afterwards the backup goes on in an epoch of its own.
 * GARNER_TEST_CHAINS says how many chains (default 12).
 */
#include "config.h"

#include "backup-unit.h"
#include "library/backup.h"

enum { CHAINS = 12, PAGE = 512, STATES = 8, LINKS = 16, COUNT_MAX = 5000, KEY = 128 };

/* How a part may be damaged; LIE is well-formed, but the wrong pages. */
enum damage { FLIP, CUT, EMPTY, GONE, LIE, DAMAGES };

struct link {
	uint64_t from, to;
	bool damaged;
};

struct chain {
	struct backup_unit *u;
	struct backup_bucket b;
	uint32_t epoch;
	uint32_t count[STATES + 1];
	uint32_t value[STATES + 1][COUNT_MAX]; /* of each page in each state */
	struct link links[LINKS];
	unsigned link_count;
	struct restore_result last; /* that came back, of an epoch before */
};

static uint64_t told;

static void tell(void *arg, const char *what)
{
	(void)arg;
	ck_assert_ptr_nonnull(strstr(what, "meta/"));
	told++;
}

/* As restore_fetch(); the file is left in the folder `fetched`. */
static int fetch(struct backup_unit *u, bool older, struct restore_result *out)
{
	static const struct restore_watch watch = { .damaged = tell };
	struct buf why = BUF_INIT;
	struct restore r = { .path = u->fetched, .watch = &watch, .why = &why, .older = older };

	r.dir_fd = open(u->fetched, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(r.dir_fd, 0);
	backup_bucket_init(&r.bucket, backup_unit_client(server_url(u->server)));
	told = 0;
	int err = restore_fetch(&r);

	backup_bucket_release(&r.bucket);
	close(r.dir_fd);
	buf_release(&why);
	*out = r.result;
	return err;
}

static void page_of(uint32_t page, uint32_t value, uint32_t bytes[PAGE / 4])
{
	for (uint32_t i = 0; i < PAGE / 4; i++)
		bytes[i] = page * 31 + value * 7 + i;
}

static uint64_t sum_of(const struct chain *c, uint64_t state)
{
	uint32_t bytes[PAGE / 4];
	uint64_t sum = 0;

	for (uint32_t p = 1; p <= c->count[state]; p++) {
		page_of(p, c->value[state][p - 1], bytes);
		sum ^= backup_page_sum(p, bytes, PAGE);
	}
	return sum;
}

/* Damages one part in some way; it may be in place of what was there. */
static void damage(struct backup_unit *u, struct backup_bucket *b, const char *key, enum damage how)
{
	char whole[KEY];
	size_t len = 0;

	snprintf(whole, sizeof(whole), "lib/%s", key);
	char *bytes = server_object(u->server, whole, &len);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_gt(len, 0);
	if (how == FLIP)
		bytes[backup_unit_dice(u, (unsigned)len)] ^= 1 << backup_unit_dice(u, 8);
	len = how == CUT ? backup_unit_dice(u, (unsigned)len) : how == EMPTY ? 0 : len;
	if (how == GONE)
		ck_assert_int_eq(backup_bucket_delete(b, key), 0);
	else
		ck_assert_int_eq(backup_bucket_put(b, key, bytes, len, false), 0);
	free(bytes);
}

static void put(struct chain *c, uint64_t from, uint64_t to, bool lie)
{
	struct backup_segment_head head = { .page_size = PAGE,
					    .from = from,
					    .to = to,
					    .count = c->count[to],
					    .at_ns = (int64_t)to };
	struct backup_segment *s = backup_segment_new(&head, AT_FDCWD);
	uint32_t bytes[PAGE / 4];

	for (uint32_t p = 1; p <= c->count[to]; p++) {
		bool changed = from == 0 || p > c->count[from];

		for (uint64_t i = from; i < to && !changed; i++)
			changed = p > c->count[i + 1] ||
				  c->value[i][p - 1] != c->value[i + 1][p - 1];
		if (!changed)
			continue;
		page_of(p, c->value[to][p - 1] + (lie && p % 3 == 1), bytes);
		ck_assert_int_eq(backup_segment_add(s, p, bytes), 0);
	}
	ck_assert_int_eq(backup_segment_end(s, sum_of(c, to) + lie), 0);
	for (uint32_t part = 0; part < backup_segment_parts(s); part++) {
		struct buf body = BUF_INIT;
		char key[BACKUP_SEGMENT_KEY_MAX];

		backup_segment_key(&(struct backup_segment_name){ c->epoch, from, to, part,
								  backup_segment_parts(s) },
				   key);
		ck_assert_int_eq(backup_segment_body(s, part, &body), 0);
		ck_assert_int_eq(backup_bucket_put(&c->b, key, body.data, body.len, false), 0);
		buf_release(&body);
	}
	backup_segment_free(s);
}

/* States, each a change of the one before, and segments: a base, all single steps, and some that span more. */
static void chain_make(struct chain *c)
{
	struct backup_unit *u = c->u;

	c->link_count = 0;
	for (uint64_t s = 1; s <= STATES; s++) {
		c->count[s] = 1 + backup_unit_dice(u, backup_unit_dice(u, 3) ? 200 : COUNT_MAX);
		for (uint32_t p = 0; p < COUNT_MAX; p++)
			c->value[s][p] = c->value[s - 1][p] + (backup_unit_dice(u, 4) == 0);
	}
	for (uint64_t s = 0; s < STATES; s++)
		c->links[c->link_count++] = (struct link){ .from = s, .to = s + 1 };
	for (unsigned i = backup_unit_dice(u, 3); i; i--) {
		uint64_t from = backup_unit_dice(u, STATES - 2),
			 to = from + 2 + backup_unit_dice(u, (unsigned)(STATES - from - 1));

		for (unsigned k = 0; k < c->link_count; k++)
			from = c->links[k].from == from && c->links[k].to == to ? STATES : from;
		if (from < STATES)
			c->links[c->link_count++] = (struct link){ .from = from, .to = to };
	}
	for (unsigned i = 0; i < c->link_count; i++)
		put(c, c->links[i].from, c->links[i].to, false);
}

/* Damages some segments; whether one of them is a lie. */
static bool chain_damage(struct chain *c)
{
	bool lies = false;

	for (unsigned i = 1 + backup_unit_dice(c->u, 3); i; i--) {
		struct link *l = &c->links[backup_unit_dice(c->u, c->link_count)];
		enum damage how = backup_unit_dice(c->u, DAMAGES);
		uint32_t parts = (c->count[l->to] + BACKUP_SEGMENT_PAGES - 1) /
				 BACKUP_SEGMENT_PAGES;
		char key[BACKUP_SEGMENT_KEY_MAX], name[KEY];
		size_t len;

		if (l->damaged)
			continue;
		l->damaged = true;
		lies = lies || how == LIE;
		if (how == LIE) {
			put(c, l->from, l->to, true);
			continue;
		}
		/* How many parts there are is found out. */
		for (;; parts--) {
			struct backup_segment_name of = { c->epoch, l->from, l->to, 0, parts };
			void *there;

			ck_assert_uint_gt(parts, 0);
			of.part = backup_unit_dice(c->u, parts);
			backup_segment_key(&of, key);
			snprintf(name, sizeof(name), "lib/%s", key);
			there = server_object(c->u->server, name, &len);
			free(there);
			if (there)
				break;
		}
		damage(c->u, &c->b, key, how);
	}
	return lies;
}

/* The furthest state that whole segments lead to, by trying all. */
static uint64_t chain_best(const struct chain *c, uint64_t at)
{
	uint64_t best = at;

	for (unsigned i = 0; i < c->link_count; i++) {
		const struct link *l = &c->links[i];
		uint64_t end = !l->damaged && l->from <= at && l->to > at ? chain_best(c, l->to)
									  : at;

		best = end > best ? end : best;
	}
	return best;
}

static void chain_is(const struct chain *c, uint64_t state)
{
	uint32_t want[PAGE / 4];
	struct buf file = BUF_INIT;
	char path[160];

	snprintf(path, sizeof(path), "%s/" RESTORE_DB, c->u->fetched);
	ck_assert_int_eq(io_read_file(AT_FDCWD, path, 64 << 20, &file), 0);
	ck_assert_uint_eq(file.len, (size_t)c->count[state] * PAGE);
	for (uint32_t p = 1; p <= c->count[state]; p++) {
		page_of(p, c->value[state][p - 1], want);
		ck_assert_mem_eq(file.data + (size_t)(p - 1) * PAGE, want, PAGE);
	}
	buf_release(&file);
}

/* What comes back is the best of this epoch or, where nothing of it is whole, what came back of those before. */
static void chain_check(struct chain *c, bool lies)
{
	struct restore_result refused, out;
	uint64_t best = chain_best(c, 0);
	int err = fetch(c->u, false, &refused);

	if (err == ERR_CORRUPT || err == -ENODATA) {
		ck_assert(!c->last.epoch && (best == 0 || lies));
		return;
	}
	ck_assert(err == 0 || err == -ESTALE);
	ck_assert_int_eq(fetch(c->u, true, &out), 0);
	ck_assert(out.epoch == refused.epoch && out.state == refused.state &&
		  out.at_ns == refused.at_ns && out.at_ns == (int64_t)out.state);
	ck_assert_int_eq(out.older, err == -ESTALE);
	ck_assert(!out.older || told);
	if (out.epoch == c->epoch) {
		chain_is(c, out.state);
		/* Pages that a lie has may all come again in what follows. */
		ck_assert(lies || out.state == best);
	} else {
		ck_assert(out.epoch == c->last.epoch && out.state == c->last.state);
		ck_assert(lies || best == 0);
	}
	c->last = out;
}

START_TEST(whatever_is_whole_comes_back)
{
	const char *text = getenv("GARNER_TEST_CHAINS");
	unsigned chains = text ? (unsigned)atoi(text) : CHAINS / unit_stride() + 1;
	struct backup_unit u;
	struct chain *c = calloc(1, sizeof(*c));

	backup_unit_begin(&u, "");
	c->u = &u;
	backup_bucket_init(&c->b, backup_unit_client(server_url(u.server)));
	for (c->epoch = 1; c->epoch <= chains; c->epoch++) {
		struct restore_result out;

		chain_make(c);
		ck_assert_int_eq(fetch(&u, false, &out), 0);
		ck_assert(out.epoch == c->epoch && out.state == STATES && !told);
		chain_is(c, STATES);
		chain_check(c, chain_damage(c));
	}
	backup_bucket_release(&c->b);
	free(c);
	backup_unit_end(&u);
}
END_TEST

/* The first parts of a segment are laid, and have to come off again: another leads on from where it began. */
START_TEST(half_a_segment_is_none)
{
	struct restore_result out;
	struct backup_unit u;
	struct chain *c = calloc(1, sizeof(*c));

	backup_unit_begin(&u, "");
	c->u = &u;
	c->epoch = 1;
	backup_bucket_init(&c->b, backup_unit_client(server_url(u.server)));
	for (uint64_t s = 1; s <= 3; s++) {
		c->count[s] = s == 3 ? COUNT_MAX : 100;
		for (uint32_t p = 0; p < COUNT_MAX; p++)
			c->value[s][p] = s == 2 && p % 2 ? 1 : (uint32_t)s;
		put(c, s == 3 ? 1 : s - 1, s, false);
	}
	damage(&u, &c->b, "meta/00000001/000000000003-000000000001-0002-0003", FLIP);
	ck_assert_int_eq(fetch(&u, true, &out), 0);
	ck_assert_uint_eq(out.state, 2);
	ck_assert(out.older);
	chain_is(c, 2);
	backup_bucket_release(&c->b);
	free(c);
	backup_unit_end(&u);
}
END_TEST

static int recover(struct backup_unit *u, const char *path, bool older, struct restore_result *out)
{
	static const struct restore_watch watch = { .damaged = tell };
	struct s3_settings s3 = backup_unit_settings(server_url(u->server));
	struct buf why = BUF_INIT;

	told = 0;
	int err = restore_library(path, &s3, older, &watch, out, &why);

	s3_settings_release(&s3);
	buf_release(&why);
	return err;
}

static void step(struct backup_unit *u, struct library *lib, unsigned number)
{
	struct buf why = BUF_INIT;

	backup_unit_change(lib, &u->tree.who, number, 5);
	ck_assert_int_eq(backup_now(lib, false, NULL, &why), 0);
	buf_release(&why);
}

/* A library, and the same brought back older: its backup is a new one, whole by itself, and the damaged one is left alone. */
START_TEST(a_library_goes_on)
{
	struct restore_result out = { 0 };
	struct backup_unit u;
	struct backup_bucket b;
	struct library *lib;
	char path[96], file[160];
	uint64_t there = 0, before[4];

	backup_unit_begin(&u, "");
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	snprintf(path, sizeof(path), "%s/again", u.tree.dir);
	for (unsigned i = 0; i < 4; i++) {
		step(&u, u.tree.lib, i);
		before[i] = backup_unit_here(u.tree.path);
	}
	damage(&u, &b, "meta/00000001/000000000003-000000000002-0000-0001", FLIP);
	ck_assert_int_eq(recover(&u, path, false, &out), -ESTALE);
	ck_assert(out.epoch == 1 && out.state == 2 && out.at_ns > 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(fetch(&u, true, &out), 0);
	snprintf(file, sizeof(file), "%s/" RESTORE_DB, u.fetched);
	ck_assert(backup_unit_digest(file) == before[1]);
	ck_assert_int_eq(recover(&u, path, true, &out), 0);
	ck_assert(out.older && out.state == 2 && told == 1);
	unsigned objects = backup_unit_objects(&u, "meta/00000001/");

	ck_assert_int_eq(library_open(path, 0, &lib), 0);
	ck_assert_int_eq(tree_check(lib, tree_unit_fault, NULL), 0);
	step(&u, lib, 9);
	step(&u, lib, 10);
	ck_assert_uint_eq(backup_unit_objects(&u, "meta/00000001/"), objects);
	ck_assert_int_eq(backup_unit_there(&u, &there, &out), 0);
	ck_assert(there == backup_unit_here(path) && out.epoch == 2 && !out.older);
	library_close(lib);

	/* Its base goes: then the epoch before is the newest, as far as that is whole. */
	damage(&u, &b, "meta/00000002/000000000001-000000000000-0000-0001", CUT);
	ck_assert_int_eq(fetch(&u, false, &out), -ESTALE);
	ck_assert(out.epoch == 1 && out.state == 2);
	damage(&u, &b, "meta/00000001/000000000001-000000000000-0000-0001", GONE);
	ck_assert_int_eq(fetch(&u, true, &out), ERR_CORRUPT);
	backup_bucket_release(&b);
	backup_unit_end(&u);
}
END_TEST

/* Damage that costs nothing is told, and no obstacle; nor is one to who owns the backup. */
START_TEST(damage_that_costs_nothing)
{
	struct restore_result out = { 0 };
	struct backup_unit u;
	struct backup_bucket b;

	backup_unit_begin(&u, "");
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	for (unsigned i = 0; i < 4; i++)
		step(&u, u.tree.lib, i);
	ck_assert_int_eq(backup_bucket_put(&b, "meta/00000001/000000000004-000000000000-0000-0001",
					   "?", 1, false),
			 0);
	ck_assert_int_eq(fetch(&u, false, &out), 0);
	ck_assert(out.state == 4 && !out.older && told == 1);
	/* A body that is spoilt on the way is asked for again. */
	ck_assert_int_eq(
		backup_bucket_delete(&b, "meta/00000001/000000000004-000000000000-0000-0001"), 0);
	server_fault(
		u.server,
		(struct fault){ .kind = FAULT_CORRUPT, .method = "GET", .skip = 2, .count = 1 });
	ck_assert_int_eq(fetch(&u, false, &out), 0);
	ck_assert(out.state == 4 && told == 0);
	server_heal(u.server);
	backup_bucket_release(&b);
	backup_unit_end(&u);
}
END_TEST

/* A claim that is damaged or gone hides no backup, and keeps nobody from going on but a machine that never had it. */
START_TEST(claims_that_are_lost)
{
	struct restore_result out = { 0 };
	struct backup_unit u;
	struct backup_bucket b;
	struct buf why = BUF_INIT;
	struct library *lib;
	char path[96];
	uint64_t there = 0;

	backup_unit_begin(&u, "");
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	snprintf(path, sizeof(path), "%s/again", u.tree.dir);
	step(&u, u.tree.lib, 1);
	for (unsigned i = 0; i < 2; i++) {
		char key[32];

		snprintf(key, sizeof(key), "meta/claims/%08x", i + 1);
		damage(&u, &b, key, i ? FLIP : GONE);
		if (i)
			ck_assert_int_eq(backup_bucket_put(&b, key, "{", 1, false), 0);
		ck_assert_int_eq(backup_unit_there(&u, &there, &out), 0);
		ck_assert(out.epoch == i + 1);
		step(&u, u.tree.lib, 2 + i);
		ck_assert_int_eq(backup_unit_there(&u, &there, &out), 0);
		ck_assert(there == backup_unit_here(u.tree.path) && out.epoch == i + 2);
	}
	ck_assert_int_eq(backup_bucket_delete(&b, "meta/claims/00000003"), 0);
	ck_assert_int_eq(recover(&u, path, false, &out), 0);
	ck_assert_int_eq(library_open(path, 0, &lib), 0);
	step(&u, lib, 7);
	ck_assert_int_eq(backup_unit_there(&u, &there, &out), 0);
	ck_assert(there == backup_unit_here(path) && out.epoch == 4);
	ck_assert_int_eq(backup_bucket_delete(&b, "meta/claims/00000004"), 0);
	ck_assert_int_eq(backup_now(u.tree.lib, false, NULL, &why), -EEXIST);
	ck_assert_ptr_nonnull(strstr(buf_str(&why), "damaged or gone"));
	library_close(lib);
	buf_release(&why);
	backup_bucket_release(&b);
	backup_unit_end(&u);
}
END_TEST

/* What was sent and not written down here as sure, and is damaged by the next start: the backup is made anew. */
START_TEST(the_owner_makes_it_anew)
{
	struct backup_unit u;
	struct backup_bucket b;

	backup_unit_begin(&u, "");
	backup_bucket_init(&b, backup_unit_client(server_url(u.server)));
	struct backup_ship *ship = backup_unit_ship(u.tree.lib, server_url(u.server));

	ck_assert_int_eq(backup_ship_begin(ship, false), 0);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_unit_change(u.tree.lib, &u.tree.who, 1, 5);
	ck_assert_int_eq(backup_ship_step(ship, false), 1);
	backup_ship_free(ship);
	damage(&u, &b, "meta/00000001/000000000002-000000000001-0000-0001", FLIP);
	step(&u, u.tree.lib, 2);
	backup_unit_same(&u);
	backup_bucket_release(&b);
	backup_unit_end(&u);
}
END_TEST

UNIT_MAIN("backup-damage", 600, whatever_is_whole_comes_back, half_a_segment_is_none,
	  a_library_goes_on, damage_that_costs_nothing, claims_that_are_lost,
	  the_owner_makes_it_anew)
