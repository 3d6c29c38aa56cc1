/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queue before the writer. */
#include "config.h"

#include "backend/meta/queue.h"

void meta_queue_init(struct meta_queue *q)
{
	lock_init(&q->lock, LOCK_RANK_META);
	q->first = NULL;
	q->last = &q->first;
	q->busy = false;
}

void meta_queue_release(struct meta_queue *q)
{
	lock_release(&q->lock);
}

/* Stands in the queue until the place's work is done by another or it is the first. */
static void queue_wait(struct meta_queue *q, struct meta_queue_place *place) LOCK_REQUIRES(&q->lock)
{
	lock_cond_init(&place->wake);
	place->done = false;
	place->next = NULL;
	*q->last = place;
	q->last = &place->next;
	while (!place->done && (q->busy || q->first != place))
		lock_cond_wait(&place->wake, &q->lock);
	if (!place->done)
		q->busy = true;
}

/* The operations at the head of the queue up to the next that wants the writer for itself. */
static size_t queue_batch(struct meta_queue *q, struct meta_call **calls) LOCK_REQUIRES(&q->lock)
{
	size_t count = 0;

	for (struct meta_queue_place *p = q->first; p && p->call.op; p = p->next) {
		calls[count++] = &p->call;
		if (count == META_QUEUE_BATCH_MAX)
			break;
	}
	return count;
}

/* Ends the leader's turn: the first COUNT places are done; the next one's thread is to lead. */
static void queue_pass(struct meta_queue *q, size_t count) LOCK_REQUIRES(&q->lock)
{
	q->busy = false;
	while (count--) {
		struct meta_queue_place *p = q->first;

		q->first = p->next;
		if (!q->first)
			q->last = &q->first;
		p->done = true;
		lock_cond_signal(&p->wake);
	}
	if (q->first)
		lock_cond_signal(&q->first->wake);
}

int meta_queue_apply(struct meta_queue *q, struct meta_driver *d, const struct meta_op *op)
{
	struct meta_queue_place place = { .call = { .op = op } };
	struct meta_call *calls[META_QUEUE_BATCH_MAX];

	lock_lock(&q->lock);
	queue_wait(q, &place);
	if (!place.done) {
		size_t count = queue_batch(q, calls);

		lock_unlock(&q->lock);
		d->ops->commit(d, calls, count);
		lock_lock(&q->lock);
		queue_pass(q, count);
	}
	lock_unlock(&q->lock);
	lock_cond_release(&place.wake);
	return place.call.result;
}

void meta_queue_take(struct meta_queue *q, struct meta_queue_place *place)
{
	place->call.op = NULL;
	lock_lock(&q->lock);
	queue_wait(q, place);
	lock_unlock(&q->lock);
}

bool meta_queue_try(struct meta_queue *q, struct meta_queue_place *place)
{
	lock_lock(&q->lock);
	bool idle = !q->first;

	if (idle) {
		place->call.op = NULL;
		queue_wait(q, place);
	}
	lock_unlock(&q->lock);
	return idle;
}

void meta_queue_give(struct meta_queue *q, struct meta_queue_place *place)
{
	lock_lock(&q->lock);
	queue_pass(q, 1);
	lock_unlock(&q->lock);
	lock_cond_release(&place->wake);
}
