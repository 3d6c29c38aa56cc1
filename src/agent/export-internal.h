/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of export share. Not for others. */
#ifndef GARNER_AGENT_EXPORT_INTERNAL_H
#define GARNER_AGENT_EXPORT_INTERNAL_H

#include "agent/export.h"

/* export_content(); into a file that is empty (seekable) holes are left out, and its size is the caller's to set. *n is then the node whose content it was. */
int export_content_write(struct library *lib, struct node *n, int fd, bool seekable);

#endif
