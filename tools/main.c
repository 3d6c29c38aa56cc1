/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The program garner. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "util/version.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("garner %s\n", version_text());
		return 0;
	}
	fprintf(stderr, "usage: garner --version\n");
	return 2;
}
