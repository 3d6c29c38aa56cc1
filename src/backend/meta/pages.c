/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way to the driver's pages. */
#include "config.h"

#include "backend/meta/pages.h"

#include <assert.h>
#include <errno.h>

#include "backend/meta/meta-driver.h"

int meta_pages_new(struct meta *m, struct meta_pages **out)
{
	struct meta_driver *d = meta_driver_of(m);

	return d->ops->pages ? d->ops->pages(d, out) : -EOPNOTSUPP;
}

void meta_pages_free(struct meta_pages *p)
{
	if (p)
		p->ops->close(p);
}

int meta_pages_changed(struct meta_pages *p)
{
	return p->ops->changed(p);
}

int meta_pages_begin(struct meta_pages *p, meta_pages_fn *fn, void *arg,
		     struct meta_pages_moment *out)
{
	assert(!p->open);
	int err = p->ops->begin(p, fn, arg, &p->moment);

	p->open = !err;
	if (!err)
		*out = p->moment;
	return err;
}

int meta_pages_read(struct meta_pages *p, uint32_t page, void *buf)
{
	assert(p->open && page >= 1 && page <= p->moment.count);
	return p->ops->read(p, page, buf);
}

int meta_pages_end(struct meta_pages *p)
{
	assert(p->open);
	p->open = false;
	return p->ops->end(p);
}
