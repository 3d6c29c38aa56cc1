/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A home becomes a draft again, and is written, just after someone has read in the metadata that it holds what he looks for: between the rows and the
 * opening of the file, where the linker puts the function here (--wrap).
 */
#include "config.h"

#include "../wrap.h"
#include "world.h"

enum { LEN = 30000 };

/* What happens at the next opening of a blob; then nothing more. */
static struct world *armed;
static struct asset *owner;

static void unseal_and_write(struct world *w, struct asset *a)
{
	struct meta_op *op = meta_op_new();
	struct view *v = NULL;
	struct draft *copy = NULL;
	uint8_t zeros[LEN] = { 0 };

	ck_assert_int_eq(view_of_object(w->content, a->object, &v), 0);
	int64_t home = blob_id(view_whole(v));

	view_put(v);
	ck_assert_int_eq(draft_unseal(w->content, home, a->size, &copy, &a->draft, op), 0);
	META_ADD(op, FILE_ATTACH, META_ONE, -ESTALE, META_I(a->ino), META_I(home), META_I(a->size),
		 META_I(a->object));
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	ck_assert_int_eq(draft_unsealed(a->draft, true, &copy), 0);
	draft_put(a->draft, zeros, LEN, 0);
	meta_op_free(op);
}

WRAP(int, blobs_get, (struct blobs * b, int64_t id, struct blob **out))
{
	struct world *w = armed;

	armed = NULL;
	if (w)
		unseal_and_write(w, owner);
	return __real_blobs_get(b, id, out);
}

static uint8_t *begin(struct world *w, struct asset *a)
{
	uint8_t *data = stream_new(1, LEN);

	world_open(w);
	asset_of(w, a, data, LEN);
	owner = a;
	return data;
}

static void end(struct world *w, struct asset *a, uint8_t *data)
{
	ck_assert_ptr_null(armed);
	asset_seal(w, a);
	world_check(w);
	free(data);
	world_close(w);
}

START_TEST(a_view_does_not_open_what_is_written)
{
	struct world w;
	struct asset a;
	uint8_t *data = begin(&w, &a), got[LEN];
	struct view *v = NULL;

	armed = &w;
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_int_eq(view_read(v, got, LEN, 0), LEN);
	ck_assert(!memcmp(got, data, LEN));
	view_put(v);
	end(&w, &a, data);
}
END_TEST

/* What has moved is not damaged. */
START_TEST(a_seal_finds_where_a_chunk_went)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = begin(&w, &a);

	asset_new(&w, &b);
	draft_put(b.draft, data, LEN, 0);
	armed = &w;
	struct seal_stats stats = asset_seal(&w, &b);

	ck_assert_uint_eq(stats.healed, 0);
	ck_assert_uint_eq(stats.new_bytes, 0);
	asset_is(&w, &b, data, LEN);
	end(&w, &a, data);
}
END_TEST

UNIT_MAIN("unseal-race", 60, a_view_does_not_open_what_is_written, a_seal_finds_where_a_chunk_went)
