/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A FUSE filesystem that does nothing: names and bytes are in memory, nothing is looked up on a disk or recorded. What it reaches is what FUSE allows on this kernel.
 *
 *	bench-null MOUNTPOINT [--own] [--noacl] [--uring]
 *
 * It asks the kernel for what garner asks for and has its timeouts, its threads and its answers: new files are passed through (to a memfd, which stays registered
 * with the kernel); with --own their bytes are in the daemon, behind the write-back cache. --noacl has no extended attributes. It goes to the background.
 *
 * It is not for use: no links, permissions are those of the kernel, nodes are never given back.
 */
#include "config.h"

#define FUSE_USE_VERSION 317

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 17)
#error "needs libfuse 3.17: packaging/build-libfuse"
#endif

enum { NULL_NODES = 1 << 23, NULL_BUCKETS = 1 << 20, NULL_THREADS = 2, NULL_DOTS = 2 };

static const double forever = 86400;

/* A node is its inode number, and place in `nodes`. */
struct node {
	struct stat st;
	char *name;
	fuse_ino_t parent, next; /* next: with the same hash */
	size_t slot;             /* in the parent's children */
	fuse_ino_t
		*children; /* of a folder, 0 where one has gone; places are offsets of a listing */
	size_t child_count, child_room, alive;
	char *bytes; /* without passthrough */
	size_t room;
	int fd, backing; /* with it */
	unsigned opened;
};

static struct fuse_session *session;
static bool own, noacl, uring;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all that follows */
static struct node *nodes;
static fuse_ino_t node_count;
static fuse_ino_t buckets[NULL_BUCKETS];

static fuse_ino_t *bucket(fuse_ino_t parent, const char *name)
{
	uint64_t h = parent * UINT64_C(0x9e3779b97f4a7c15);

	while (*name)
		h = (h ^ (unsigned char)*name++) * UINT64_C(0x100000001b3);
	return &buckets[(h ^ h >> 32) % NULL_BUCKETS];
}

/* What points at the node of that name; at 0 where there is none. */
static fuse_ino_t *find(fuse_ino_t parent, const char *name)
{
	fuse_ino_t *at = bucket(parent, name);

	while (*at && (nodes[*at].parent != parent || strcmp(nodes[*at].name, name) != 0))
		at = &nodes[*at].next;
	return at;
}

static void touch(struct node *n)
{
	clock_gettime(CLOCK_REALTIME, &n->st.st_mtim);
	n->st.st_ctim = n->st.st_mtim;
}

static void enter(fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct node *n = &nodes[ino], *p = &nodes[parent];
	fuse_ino_t *at = bucket(parent, name);

	free(n->name);
	n->name = strdup(name);
	n->parent = parent;
	n->next = *at;
	*at = ino;
	if (p->child_count == p->child_room) {
		p->child_room = p->child_room ? 2 * p->child_room : 16;
		p->children = realloc(p->children, p->child_room * sizeof *p->children);
	}
	n->slot = p->child_count;
	p->children[p->child_count++] = ino;
	p->alive++;
	touch(p);
}

static void leave(fuse_ino_t *at)
{
	struct node *n = &nodes[*at], *p = &nodes[n->parent];

	*at = n->next;
	p->children[n->slot] = 0;
	if (--p->alive == 0)
		p->child_count = 0;
	touch(p);
}

/* The bytes go with the name and the last open. */
static void let_go(fuse_req_t req, struct node *n)
{
	if (n->st.st_nlink || n->opened)
		return;
	if (n->backing > 0)
		fuse_passthrough_close(req, n->backing);
	if (n->fd > 0)
		close(n->fd);
	free(n->bytes);
	n->bytes = NULL;
	n->fd = n->backing = 0;
}

/* Takes the name away that is there, if any. */
static void drop(fuse_req_t req, fuse_ino_t *at)
{
	struct node *n = &nodes[*at];

	if (!*at)
		return;
	leave(at);
	n->st.st_nlink = 0;
	let_go(req, n);
}

static fuse_ino_t make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	fuse_ino_t ino = ++node_count;
	struct node *n = &nodes[ino];

	n->st = (struct stat){ .st_ino = ino, .st_mode = mode, .st_nlink = S_ISDIR(mode) ? 2 : 1 };
	n->st.st_uid = req ? fuse_req_ctx(req)->uid : getuid();
	n->st.st_gid = req ? fuse_req_ctx(req)->gid : getgid();
	touch(n);
	n->st.st_atim = n->st.st_mtim;
	if (parent)
		enter(ino, parent, name);
	return ino;
}

/* The kernel has written to what is passed by itself. */
static struct stat *attr_of(struct node *n)
{
	struct stat st;

	if (n->fd > 0 && !fstat(n->fd, &st)) {
		n->st.st_size = st.st_size;
		n->st.st_blocks = st.st_blocks;
	}
	return &n->st;
}

static struct fuse_entry_param entry_of(fuse_ino_t ino)
{
	return (struct fuse_entry_param){ .ino = ino,
					  .generation = 1,
					  .attr = *attr_of(&nodes[ino]),
					  .attr_timeout = forever,
					  .entry_timeout = forever };
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	uint64_t asked = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_EXPORT_SUPPORT |
			 FUSE_CAP_DONT_MASK | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
			 FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
			 FUSE_CAP_EXPLICIT_INVAL_DATA;

	(void)userdata;
	if (!noacl)
		asked |= FUSE_CAP_POSIX_ACL;
	asked |= own ? FUSE_CAP_WRITEBACK_CACHE
		     : FUSE_CAP_PASSTHROUGH | FUSE_CAP_HANDLE_KILLPRIV_V2;
	for (; asked; asked &= asked - 1)
		if (!fuse_set_feature_flag(conn, asked & -asked))
			fprintf(stderr, "bench-null: this kernel has no feature %jx\n",
				(uintmax_t)(asked & -asked));
	fuse_unset_feature_flag(conn, FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_backing_stack_depth = !own;
	conn->time_gran = 1;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .entry_timeout = forever };

	pthread_mutex_lock(&lock);
	fuse_ino_t ino = *find(parent, name);

	if (ino)
		e = entry_of(ino);
	pthread_mutex_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	pthread_mutex_lock(&lock);
	struct stat st = *attr_of(&nodes[ino]);

	pthread_mutex_unlock(&lock);
	fuse_reply_attr(req, &st, forever);
}

static void resize(struct node *n, size_t size)
{
	if (n->fd > 0 && ftruncate(n->fd, (off_t)size))
		perror("bench-null");
	if (n->fd <= 0 && size > n->room) {
		size_t room = size > 2 * n->room ? size : 2 * n->room;

		n->bytes = realloc(n->bytes, room);
		memset(n->bytes + n->room, 0, room - n->room);
		n->room = room;
	}
	if (n->fd <= 0 && size < (size_t)n->st.st_size)
		memset(n->bytes + size, 0, (size_t)n->st.st_size - size);
	n->st.st_size = (off_t)size;
	n->st.st_blocks = (blkcnt_t)(size + 511) / 512;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
		       struct fuse_file_info *fi)
{
	struct node *n = &nodes[ino];

	(void)fi;
	pthread_mutex_lock(&lock);
	if (set & FUSE_SET_ATTR_MODE)
		n->st.st_mode = (n->st.st_mode & S_IFMT) | (attr->st_mode & 07777);
	if (set & FUSE_SET_ATTR_UID)
		n->st.st_uid = attr->st_uid;
	if (set & FUSE_SET_ATTR_GID)
		n->st.st_gid = attr->st_gid;
	if (set & FUSE_SET_ATTR_SIZE)
		resize(n, (size_t)attr->st_size);
	touch(n);
	if (set & FUSE_SET_ATTR_MTIME)
		n->st.st_mtim = attr->st_mtim;
	if (set & FUSE_SET_ATTR_ATIME)
		n->st.st_atim = attr->st_atim;
	struct stat st = *attr_of(n);

	pthread_mutex_unlock(&lock);
	fuse_reply_attr(req, &st, forever);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	pthread_mutex_lock(&lock);
	struct fuse_entry_param e = entry_of(make(req, parent, name, (mode & 07777) | S_IFDIR));

	pthread_mutex_unlock(&lock);
	fuse_reply_entry(req, &e);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	pthread_mutex_lock(&lock);
	fuse_ino_t *at = find(parent, name), ino = *at;

	if (!nodes[ino].alive)
		drop(req, at);
	int err = !ino ? ENOENT : nodes[ino].alive ? ENOTEMPTY : 0;

	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, err);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	(void)flags;
	pthread_mutex_lock(&lock);
	drop(req, find(new_parent, new_name));
	fuse_ino_t *at = find(parent, name), ino = *at;

	if (ino) {
		leave(at);
		enter(ino, new_parent, new_name);
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, ino ? 0 : ENOENT);
}

static void ready(struct node *n, struct fuse_file_info *fi)
{
	n->opened++;
	if (fi->flags & O_TRUNC)
		resize(n, 0);
	fi->noflush = 1;
	fi->keep_cache = n->backing <= 0;
	fi->backing_id = n->backing;
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	int fd = own ? 0 : memfd_create("bench-null", MFD_CLOEXEC);
	int backing = fd > 0 ? fuse_passthrough_open(req, fd) : 0;

	pthread_mutex_lock(&lock);
	struct node *n = &nodes[make(req, parent, name, (mode & 07777) | S_IFREG)];

	n->fd = fd;
	n->backing = backing;
	ready(n, fi);
	struct fuse_entry_param e = entry_of(n->st.st_ino);

	pthread_mutex_unlock(&lock);
	fuse_reply_create(req, &e, fi);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	pthread_mutex_lock(&lock);
	ready(&nodes[ino], fi);
	pthread_mutex_unlock(&lock);
	fuse_reply_open(req, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	pthread_mutex_lock(&lock);
	nodes[ino].opened--;
	let_go(req, &nodes[ino]);
	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, 0);
}

/* Only what is not passed through. */
static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct node *n = &nodes[ino];

	(void)fi;
	pthread_mutex_lock(&lock);
	size_t all = (size_t)n->st.st_size, at = (size_t)off < all ? (size_t)off : all;

	fuse_reply_buf(req, n->bytes + at, size < all - at ? size : all - at);
	pthread_mutex_unlock(&lock);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct node *n = &nodes[ino];

	(void)fi;
	pthread_mutex_lock(&lock);
	if ((size_t)off + size > (size_t)n->st.st_size)
		resize(n, (size_t)off + size);
	memcpy(n->bytes + off, buf, size);
	pthread_mutex_unlock(&lock);
	fuse_reply_write(req, size);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	fuse_reply_err(req, 0);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->cache_readdir = fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

/* One entry to `buf`; its size, 0 where it has no room. */
static size_t list_one(fuse_req_t req, char *buf, size_t room, const struct node *dir, size_t place,
		       bool plus)
{
	struct fuse_entry_param e = { .attr.st_mode = S_IFDIR,
				      .attr.st_ino = place ? dir->parent : dir->st.st_ino };
	const char *name = place ? ".." : ".";
	off_t next = (off_t)place + 1;

	if (place >= NULL_DOTS) {
		e = entry_of(dir->children[place - NULL_DOTS]);
		name = nodes[e.ino].name;
	}
	size_t need = plus ? fuse_add_direntry_plus(req, buf, room, name, &e, next)
			   : fuse_add_direntry(req, buf, room, name, &e.attr, next);

	return need > room ? 0 : need;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	const struct node *dir = &nodes[ino];
	char *buf = malloc(size);
	size_t used = 0;

	pthread_mutex_lock(&lock);
	for (size_t place = (size_t)off; place < dir->child_count + NULL_DOTS; place++) {
		if (place >= NULL_DOTS && !dir->children[place - NULL_DOTS])
			continue;
		size_t put = list_one(req, buf + used, size - used, dir, place, plus);

		if (!put)
			break;
		used += put;
	}
	pthread_mutex_unlock(&lock);
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino, (void)name, (void)size;
	fuse_reply_err(req, noacl ? ENOSYS : ENODATA);
}

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_unlink,
	.rename = op_rename,
	.create = op_create,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.getxattr = op_getxattr,
};

static void *work(void *arg)
{
	struct fuse_buf buf = { 0 };
	int got;

	(void)arg;
	do {
		got = fuse_session_receive_buf(session, &buf);
		if (got > 0)
			fuse_session_process_buf(session, &buf);
	} while (got > 0 || got == -EINTR || got == -EAGAIN);
	free(buf.mem);
	return NULL;
}

static bool start(const char *mountpoint)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	nodes = mmap(NULL, NULL_NODES * sizeof *nodes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (nodes == MAP_FAILED)
		return false;
	nodes[make(NULL, 0, "", S_IFDIR | 0755)].parent = FUSE_ROOT_ID;
	if (fuse_opt_add_arg(&args, "bench-null") ||
	    fuse_opt_add_arg(&args, "-odefault_permissions,allow_other,subtype=null,fsname=null") ||
	    (uring && fuse_opt_add_arg(&args, "-oio_uring,io_uring_q_depth=32")))
		return false;
	session = fuse_session_new(&args, &operations, sizeof operations, NULL);
	fuse_opt_free_args(&args);
	return session && !fuse_session_mount(session, mountpoint);
}

int main(int argc, char **argv)
{
	pthread_t threads[NULL_THREADS];
	const char *mountpoint = NULL;

	for (int i = 1; i < argc; i++) {
		own = own || !strcmp(argv[i], "--own");
		noacl = noacl || !strcmp(argv[i], "--noacl");
		uring = uring || !strcmp(argv[i], "--uring");
		if (*argv[i] != '-')
			mountpoint = argv[i];
	}
	if (!mountpoint) {
		fprintf(stderr, "usage: bench-null MOUNTPOINT [--own] [--noacl] [--uring]\n");
		return 2;
	}
	if (!start(mountpoint) || fuse_daemonize(0)) {
		fprintf(stderr, "bench-null: cannot mount %s\n", mountpoint);
		return 1;
	}
	for (int i = 0; i < NULL_THREADS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < NULL_THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
