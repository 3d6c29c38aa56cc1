/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Capabilities, as the kernel tells them. */
#include "config.h"

#include "util/privilege.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first user namespace maps all numbers to themselves. */
static bool is_first_namespace(void)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	unsigned long inside, outside, count;
	bool first;

	if (!map)
		return true;
	first = fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 &&
		outside == 0 && count == 4294967295;
	(void)fclose(map);
	return first;
}

bool privilege_sys_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, data))
		return false;
	return (data[0].effective & (1U << CAP_SYS_ADMIN)) && is_first_namespace();
}
