# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libmount.a
libmount_a_SOURCES = src/fuse/mount.c src/fuse/mount.h src/fuse/mount-internal.h src/fuse/mount-attr.c \
	src/fuse/mount-await.c src/fuse/mount-detach.c src/fuse/mount-dir.c src/fuse/mount-file.c src/fuse/mount-init.c src/fuse/mount-later.c src/fuse/mount-later.h \
	src/fuse/mount-name.c src/fuse/mount-notify.c src/fuse/mount-ring.c src/fuse/mount-turn.c src/fuse/mount-way.c src/fuse/mount-xattr.c
EXTRA_DIST += src/fuse/DESIGN
