# SPDX-License-Identifier: GPL-3.0-or-later
bin_PROGRAMS += garner
garner_SOURCES = \
	tools/main.c
garner_LDADD = $(MOUNT_LIBS) $(JANSSON_LIBS)
