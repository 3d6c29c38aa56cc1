/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one place where the version of the build becomes a value at run time. */
#include "config.h"

#include "util/version.h"

const char *version_text(void)
{
	return GARNER_VERSION;
}
