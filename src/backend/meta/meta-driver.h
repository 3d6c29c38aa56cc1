/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a database must do to hold the metadata: the driver interface behind meta.h. A driver
 * embeds struct meta_driver and struct meta_row as the first member of its own structs, so that
 * another driver (one that injects faults, say) can stand in front of it on the same ops.
 * Private to this folder and its tests.
 */
#ifndef GARNER_BACKEND_META_META_DRIVER_H
#define GARNER_BACKEND_META_META_DRIVER_H

#include "backend/meta/catalogue.h"
#include "backend/meta/dialect.h"
#include "backend/meta/meta.h"
#include "backend/meta/pages.h"

struct meta_ops;

/* How a driver does what pages.h says; the wrappers see to it that a moment is open, or not, and that pages are within it. */
struct meta_pages_ops {
	int (*changed)(struct meta_pages *p);
	int (*begin)(struct meta_pages *p, meta_pages_fn *fn, void *arg,
		     struct meta_pages_moment *out);
	int (*read)(struct meta_pages *p, uint32_t page, void *buf);
	int (*end)(struct meta_pages *p);
	void (*close)(struct meta_pages *p); /* also with a moment open */
};

struct meta_pages {
	const struct meta_pages_ops *ops;
	bool open; /* a moment is */
	struct meta_pages_moment moment;
};

/* An open database. */
struct meta_driver {
	const struct meta_ops *ops;
};

struct meta_row {
	const struct meta_ops *ops;
};

/* An operation on its way through a transaction. */
struct meta_call {
	const struct meta_op *op; /* at least one statement */
	int result;               /* set by the driver: as meta_apply() */
};

/* One statement of an operation; its parameters are meta_op_value(op, first + 0 .. count - 1). */
struct meta_step {
	enum meta_stmt stmt;
	enum meta_expect expect;
	int err;
	unsigned first, count;
};

/* The statement at INDEX < meta_op_count(OP), OP's own. */
const struct meta_step *meta_op_step(const struct meta_op *op, size_t index);

/* A parameter of OP; its bytes are OP's own and stay as they are while OP is not changed. */
struct meta_value meta_op_value(const struct meta_op *op, unsigned index);

/* 0, or -ENOMEM if OP lacks something for which there was no memory. */
int meta_op_error(const struct meta_op *op);

struct meta_ops {
	/* For messages: "sqlite". */
	const char *name;

	/* How the words of the schema are written. */
	const struct meta_dialect *dialect;

	/*
	 * Opens, makes or migrates a database as meta_open() says, with SCHEMA as the versions
	 * known (borrowed for as long as the database is open).
	 */
	int (*open)(const char *path, int flags, const struct meta_schema *schema,
		    struct meta_driver **out);

	/* Frees D and all that it holds. No other callback runs or will run. */
	void (*close)(struct meta_driver *d);

	/*
	 * Runs COUNT >= 1 operations, in order, in one transaction where it can, and sets the result of
	 * each: a failed one leaves no trace and does not hurt the others. Never called by two
	 * threads at once, nor at once with reserve.
	 */
	void (*commit)(struct meta_driver *d, struct meta_call *const *calls, size_t count);

	/*
	 * Takes COUNT ids of the sequence NAME: *first .. *first + COUNT - 1 are the caller's, for
	 * good once this is synced. 0 or an error as meta_apply(). Excluded as commit.
	 */
	int (*reserve)(struct meta_driver *d, const char *name, int64_t count, int64_t *first);

	/* As meta_query(). Any thread, at any time. */
	int (*query)(struct meta_driver *d, enum meta_stmt stmt, size_t count,
		     const struct meta_value *values, meta_row_fn *fn, void *arg);

	/*
	 * query on the connection that commits, which has the pages of the last changes at hand.
	 * Excluded as commit. May be NULL: there is none such.
	 */
	int (*query_main)(struct meta_driver *d, enum meta_stmt stmt, size_t count,
			  const struct meta_value *values, meta_row_fn *fn, void *arg);

	/*
	 * Makes all that was committed survive a power cut. One that fails fails for ever after,
	 * unless the driver can prove that what was committed is not lost. One thread at a time.
	 */
	int (*sync)(struct meta_driver *d);

	/* As meta_tidy(). Any thread, at any time. */
	int (*tidy)(struct meta_driver *d);

	/* As meta_copy() and meta_check(). Any thread. */
	int (*copy)(struct meta_driver *d, const char *path);
	int (*check)(struct meta_driver *d, void (*report)(void *arg, const char *line), void *arg);

	/* As meta_pages_new(). NULL: it has no pages of its own. */
	int (*pages)(struct meta_driver *d, struct meta_pages **out);

	/* Schema version of the open database. */
	int (*version)(struct meta_driver *d);

	/* As meta_row_int(), meta_row_bytes() and meta_row_null(), on a row that query gave out. */
	int64_t (*row_int)(const struct meta_row *row, int col);
	const void *(*row_bytes)(const struct meta_row *row, int col, size_t *len);
	bool (*row_null)(const struct meta_row *row, int col);
};

extern const struct meta_ops meta_sqlite_ops;

/* The driver of an open database, as long as that is open. */
struct meta_driver *meta_driver_of(struct meta *m);

/* As meta_open(), with a driver and a schema of the caller's (both borrowed until meta_close()). */
int meta_open_with(const struct meta_ops *ops, const char *path, int flags,
		   const struct meta_schema *schema, struct meta **out);

#endif
