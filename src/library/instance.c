/* SPDX-License-Identifier: GPL-3.0-or-later */
/* This process as the library knows it. */
#include "config.h"

#include "library/instance.h"
#include "content/hash.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define INSTANCE_FILE "instances"

enum { INSTANCE_ID_LEN = 16, INSTANCE_HOST_MAX = 256, INSTANCE_TEXT_MAX = 256 };

static struct flock instance_lock(const uint8_t id[INSTANCE_ID_LEN])
{
	uint64_t place = 0;

	for (int i = 0; i < 8; i++)
		place = place << 8 | id[i];
	return (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(place >> 2), .l_len = 1
	};
}

/* The first line of a small file of the system, "" when it cannot be had. */
static void instance_text(const char *path, struct buf *out)
{
	if (!io_read_file(AT_FDCWD, path, INSTANCE_TEXT_MAX, out) && out->len)
		out->len = strcspn(out->data, "\n");
}

/* The machine: a hash, since /etc/machine-id is not to be given away (machine-id(5)). */
static int instance_agent(const char *host, uint8_t agent[INSTANCE_ID_LEN])
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct hash hash;
	int err;

	instance_text("/etc/machine-id", &text);
	err = buf_printf(&text, " garner agent %s", host);
	if (!err)
		err = hash_data(HASH_SHA256, text.data, text.len, &hash);
	if (!err)
		memcpy(agent, hash.b, INSTANCE_ID_LEN);
	return err;
}

static void instance_host(char host[INSTANCE_HOST_MAX])
{
	memset(host, 0, INSTANCE_HOST_MAX);
	if (gethostname(host, INSTANCE_HOST_MAX - 1))
		host[0] = '\0';
}

int instance_machine(uint8_t id[INSTANCE_ID_LEN])
{
	char host[INSTANCE_HOST_MAX];

	instance_host(host);
	return instance_agent(host, id);
}

struct instance_dead {
	struct library *lib;
	struct meta_op *op;
};

static int instance_dead_read(void *arg, const struct meta_row *row)
{
	struct instance_dead *dead = arg;
	struct flock lock;
	size_t len;
	const void *id = meta_row_bytes(row, 0, &len);

	if (len != INSTANCE_ID_LEN)
		return 0;
	lock = instance_lock(id);
	if (!fcntl(dead->lib->instance_fd, F_OFD_GETLK, &lock) && lock.l_type == F_UNLCK)
		META_ADD(dead->op, INSTANCE_END, META_ANY, 0, META_B(id, len),
			 META_I(time_now_ns()));
	return 0;
}

static int instance_add(struct library *lib, struct meta_op *op)
{
	CLEANUP_BUF struct buf boot = BUF_INIT;
	char host[INSTANCE_HOST_MAX];
	const char *role = lib->flags & LIBRARY_MOUNT ? "mount" : "command";
	uint8_t agent[INSTANCE_ID_LEN];
	int64_t now = time_now_ns();
	int err;

	instance_host(host);
	err = instance_agent(host, agent);
	if (err)
		return err;
	instance_text("/proc/sys/kernel/random/boot_id", &boot);
	META_ADD(op, AGENT_PUT, META_ANY, 0, META_B(agent, sizeof(agent)),
		 META_T(host, strlen(host)), META_I(now));
	META_ADD(op, INSTANCE_START, META_ONE, 0, META_B(lib->instance, sizeof(lib->instance)),
		 META_B(agent, sizeof(agent)), META_I(getpid()), META_T(buf_str(&boot), boot.len),
		 META_T(role, strlen(role)), META_I(now));
	return 0;
}

int instance_start(struct library *lib)
{
	struct flock lock = instance_lock(lib->instance);
	struct instance_dead dead = { .lib = lib };
	int err;

	lib->instance_fd = openat(lib->dir_fd, INSTANCE_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lib->instance_fd < 0)
		return -errno;
	if (fcntl(lib->instance_fd, F_OFD_SETLK, &lock))
		return -errno;
	dead.op = meta_op_new();
	if (!dead.op)
		return -ENOMEM;
	err = meta_query(lib->meta, META_INSTANCE_OPEN, 0, NULL, instance_dead_read, &dead);
	if (err >= 0)
		err = instance_add(lib, dead.op);
	if (!err)
		err = meta_apply(lib->meta, dead.op);
	meta_op_free(dead.op);
	lib->registered = !err;
	return err;
}

void instance_end(struct library *lib)
{
	struct meta_op *op = lib->registered ? meta_op_new() : NULL;
	int err;

	if (op) {
		META_ADD(op, INSTANCE_END, META_ANY, 0,
			 META_B(lib->instance, sizeof(lib->instance)), META_I(time_now_ns()));
		err = meta_apply(lib->meta, op);
		if (err)
			log_warn("%s: the instance is left open: %s", lib->path, err_text(err));
		meta_op_free(op);
	}
	if (lib->instance_fd >= 0)
		close(lib->instance_fd);
	lib->instance_fd = -1;
	lib->registered = false;
}
