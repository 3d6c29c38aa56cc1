/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Functions that a test puts before those of the program: the linker's --wrap=NAME names them in its local.mk. */
#ifndef GARNER_TESTS_UNIT_WRAP_H
#define GARNER_TESTS_UNIT_WRAP_H

/* Declares the two sides of a wrapped function, and begins its stand-in. */
#define WRAP(type, name, args)                                                                     \
	type __wrap_##name args;                                                                   \
	type __real_##name args;                                                                   \
	type __wrap_##name args

#endif
