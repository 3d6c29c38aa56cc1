/* SPDX-License-Identifier: GPL-3.0-or-later */
/* INIT: what the kernel and we agree on for the life of a mount. */
#include "config.h"

#include "fuse/mount-internal.h"
#include "library/control.h"
#include "util/privilege.h"

/*
 * What is asked of the kernel, one FUSE_CAP_* or several. libfuse 3.17 has calls for it, and where these were used it refuses to
 * mount if anything was set in the old fields as well.
 */
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
static void want(struct fuse_conn_info *conn, uint64_t caps)
{
	for (uint64_t rest = caps; rest; rest &= rest - 1)
		fuse_set_feature_flag(conn, rest & -rest);
}

static void refuse(struct fuse_conn_info *conn, uint64_t caps)
{
	fuse_unset_feature_flag(conn, caps);
}

static bool wanted(const struct fuse_conn_info *conn, uint64_t cap)
{
	return conn->want_ext & cap;
}
#else
static void want(struct fuse_conn_info *conn, uint64_t caps)
{
	conn->want |= conn->capable & (unsigned)caps;
}

static void refuse(struct fuse_conn_info *conn, uint64_t caps)
{
	conn->want &= ~(unsigned)caps;
}

static bool wanted(const struct fuse_conn_info *conn, uint64_t cap)
{
	return conn->want & (unsigned)cap;
}
#endif

/* What `garner status` says of the mount. */
static void describe(struct mount *m)
{
	const char *path = m->passthrough      ? "passthrough"
			   : m->opts.writeback ? "write-back cache"
					       : "write-through cache";

	(void)control_describe(m->lib, "data_path", path);
	mount_ring_describe(m, m->uring);
}

/*
 * Passthrough is for a daemon with CAP_SYS_ADMIN, and the kernel takes it or its own write-back cache.
 */
static bool want_passthrough(struct mount *m, struct fuse_conn_info *conn)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	if (m->opts.passthrough && privilege_sys_admin() &&
	    fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH)) {
		conn->max_backing_stack_depth = 1;
		/* Else the kernel asks for an extended attribute before each write. */
		m->kills = fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
		return true;
	}
#else
	(void)conn;
	(void)m;
#endif
	return false;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *m = userdata;

	want(conn, FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_EXPORT_SUPPORT |
			   FUSE_CAP_DONT_MASK | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
			   FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
			   FUSE_CAP_EXPLICIT_INVAL_DATA);
	if (m->opts.acl)
		want(conn, FUSE_CAP_POSIX_ACL);
	refuse(conn, FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ASYNC_DIO | FUSE_CAP_SPLICE_READ |
			     FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_POSIX_LOCKS |
			     FUSE_CAP_FLOCK_LOCKS);
	m->passthrough = want_passthrough(m, conn);
	if (m->opts.writeback && !m->passthrough)
		want(conn, FUSE_CAP_WRITEBACK_CACHE);
	m->opts.writeback = wanted(conn, FUSE_CAP_WRITEBACK_CACHE);
	if (m->passthrough)
		library_kernel_clock(m->lib);
	describe(m);
	if (m->opts.writeback)
		library_kernel_stamps(m->lib);
	conn->time_gran = 1;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	atomic_store(&m->agreed, true);
}

void mount_add_init_op(struct fuse_lowlevel_ops *ops)
{
	ops->init = op_init;
}
