# SPDX-License-Identifier: GPL-3.0-or-later
bin_PROGRAMS += garner
garner_SOURCES = \
	tools/cmd-backup.c \
	tools/cmd-cache.c \
	tools/cmd-change.c \
	tools/cmd-change.h \
	tools/cmd-copy.c \
	tools/cmd-doctor.c \
	tools/cmd-du.c \
	tools/cmd-export.c \
	tools/cmd-fsck.c \
	tools/cmd-gc.c \
	tools/cmd-history.c \
	tools/cmd-import.c \
	tools/cmd-init.c \
	tools/cmd-json.c \
	tools/cmd-ls.c \
	tools/cmd-mount.c \
	tools/cmd-mount.h \
	tools/cmd-open.c \
	tools/cmd-print.c \
	tools/cmd-pull.c \
	tools/cmd-push.c \
	tools/cmd-s3.c \
	tools/cmd-status.c \
	tools/cmd-sync.c \
	tools/cmd-trash.c \
	tools/cmd-tree.c \
	tools/cmd-umount.c \
	tools/cmd.c \
	tools/cmd.h \
	tools/main.c \
	tools/mount-options.c
garner_LDADD = libagent.a $(MOUNT_LIBS) $(JANSSON_LIBS)
