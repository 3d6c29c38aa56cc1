/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A store around another one that goes wrong as told: for the tests of what stands above a store.
 * Without rules it is the inner store. Rules are tried in order; the first that fires decides.
 */
#ifndef BACKEND_STORE_STORE_FAULT_H
#define BACKEND_STORE_STORE_FAULT_H

#include "backend/store/store.h"

enum store_fault_call {
	STORE_FAULT_HAS,
	STORE_FAULT_STAT,
	STORE_FAULT_PUT,
	STORE_FAULT_GET,
	STORE_FAULT_DEL,
	STORE_FAULT_LIST,
	STORE_FAULT_URL,
	STORE_FAULT_SCAN,
	STORE_FAULT_HEALTH,
	STORE_FAULT_CALLS,
};

#define STORE_FAULT_ON(call) (1U << STORE_FAULT_##call)
#define STORE_FAULT_ON_ALL ((1U << STORE_FAULT_CALLS) - 1)

struct store_fault_rule {
	unsigned on;       /* calls that it is for: STORE_FAULT_ON(GET) | … */
	uint64_t nth;      /* fires at the nth of these calls (from 1) and no other; 0: by chance */
	unsigned chance;   /* of a million, when nth is 0 */
	unsigned delay_ms; /* waits first */
	int error;         /* negative: returned; 0: the inner store answers */
	bool after;        /* `error` comes after the inner store has done the work: a lost reply */
	bool cut;          /* a get gives at least one byte, but fewer than there are */
};

/*
 * Stacks on *INNER, which is taken over and set NULL. The COUNT rules are copied. The same SEED and
 * the same order of calls give the same faults. On 0 *OUT is the caller's, for store_close(), which
 * closes the inner store, too. 0 or -ENOMEM, with *INNER still the caller's.
 */
int store_fault_new(struct store **inner, const struct store_fault_rule *rules, size_t count,
		    uint64_t seed, struct store **out);

/* How many calls of this kind came, faults included; and how many faults all rules gave. */
uint64_t store_fault_count(struct store *s, enum store_fault_call call);
uint64_t store_fault_fired(struct store *s);

#endif
