/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of entries: what may be one, and the folded form under which names that differ only in case
 * or in Unicode normalisation are the same.
 */
#ifndef GARNER_UTIL_NAME_H
#define GARNER_UTIL_NAME_H

#include "util/buf.h"

#include <stddef.h>

enum { NAME_LEN_MAX = 255 };

/*
 * Whether LEN bytes can name an entry: 1 to 255 bytes, any but '/' and NUL, not "." or "..". They
 * need not be UTF-8. 0, -ENAMETOOLONG or -EINVAL.
 */
int name_check(const char *name, size_t len);

/*
 * Appends the folded form of a name to OUT: Unicode's full case folding between canonical
 * decomposition and composition (The Unicode Standard, definition D145, then NFC), independent of
 * language. A name that is not valid UTF-8 is its own folded form. Folding a folded name changes
 * nothing. The result can be up to 3 times as long and depends, for characters assigned recently,
 * on utf8proc's Unicode version. 0, or -ENOMEM with OUT as it was.
 */
int name_fold(const char *name, size_t len, struct buf *out);

#endif
