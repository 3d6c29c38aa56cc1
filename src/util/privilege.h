/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the process may do. */
#ifndef GARNER_UTIL_PRIVILEGE_H
#define GARNER_UTIL_PRIVILEGE_H

#include <stdbool.h>

/*
 * Whether the process has CAP_SYS_ADMIN for the whole machine: in effect, and not only within a user namespace of its own
 * (capabilities(7), user_namespaces(7)).
 */
bool privilege_sys_admin(void);

#endif
