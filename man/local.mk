# SPDX-License-Identifier: GPL-3.0-or-later
dist_man_MANS += \
	man/garner.1 \
	man/garner-backup.1 \
	man/garner-cp.1 \
	man/garner-doctor.1 \
	man/garner-du.1 \
	man/garner-evict.1 \
	man/garner-export.1 \
	man/garner-fsck.1 \
	man/garner-gc.1 \
	man/garner-history.1 \
	man/garner-import.1 \
	man/garner-init.1 \
	man/garner-ls.1 \
	man/garner-mkdir.1 \
	man/garner-mount.1 \
	man/garner-mv.1 \
	man/garner-pin.1 \
	man/garner-purge.1 \
	man/garner-pull.1 \
	man/garner-push.1 \
	man/garner-recover.1 \
	man/garner-restore.1 \
	man/garner-rm.1 \
	man/garner-stat.1 \
	man/garner-status.1 \
	man/garner-sync.1 \
	man/garner-umount.1 \
	man/garner-unpin.1 \
	man/mount.garner.8
