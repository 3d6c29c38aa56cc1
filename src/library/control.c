/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that serves the control socket. Everything is non-blocking; a client has
 * CONTROL_PATIENCE_MS to send its request and as long to take the answer, and only a request that
 * waits for something (sync, poke) may last. Beyond CONTROL_CLIENTS at once, the others wait in the
 * socket's own queue.
 */
#include "config.h"

#include "library/control-internal.h"
#include "util/err.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CONTROL_CLIENTS = 16,
	CONTROL_TICK_MS = 5,    /* while someone waits for a job */
	CONTROL_IDLE_MS = 1000, /* else: how soon patience is looked at */
	CONTROL_READ = 4096,
};

struct control_client {
	int fd; /* -1: free */
	int64_t patience_ns;
	struct buf in, out;
	size_t sent;
	struct control_job job;
};

struct control {
	struct library *lib;
	struct lock lock;  /* guards described */
	json_t *described; /* texts for status */
	int listen_fd, stop_fd;
	pthread_t thread;
	struct control_client clients[CONTROL_CLIENTS]; /* the thread's */
};

void control_address(int dir_fd, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/" CONTROL_NAME, dir_fd);
}

static void client_patience(struct control_client *c)
{
	c->patience_ns = time_mono_ns() + CONTROL_PATIENCE_MS * TIME_NS_PER_MS;
}

static void client_end(struct control_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	buf_release(&c->in);
	buf_release(&c->out);
	*c = (struct control_client){ .fd = -1 };
}

/* Sends what can be sent; when the answer is out, the next request is read. False: cut off. */
static bool client_write(struct control_client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
	}
	buf_reset(&c->out);
	c->sent = 0;
	c->job.state = CONTROL_READING;
	return true;
}

static bool client_answered(struct control_client *c)
{
	client_patience(c);
	return client_write(c);
}

/* Takes the next whole line of the input, if there is one. False: cut off. */
static bool client_lines(struct control *ctl, struct control_client *c)
{
	while (c->job.state == CONTROL_READING && c->in.len) {
		char *end = memchr(c->in.data, '\n', c->in.len);

		if (!end)
			return c->in.len <= CONTROL_LINE_MAX;
		size_t len = (size_t)(end - c->in.data);

		lock_lock(&ctl->lock);
		json_t *described = json_copy(ctl->described);

		lock_unlock(&ctl->lock);
		int rc = control_request(ctl->lib, described, c->in.data, len, &c->job, &c->out);

		json_decref(described);
		if (rc)
			return false;
		memmove(c->in.data, end + 1, c->in.len - len - 1);
		c->in.len -= len + 1;
		if (c->job.state == CONTROL_WRITING && !client_answered(c))
			return false;
	}
	return true;
}

static bool client_read(struct control *ctl, struct control_client *c)
{
	char bytes[CONTROL_READ];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0 || buf_add(&c->in, bytes, (size_t)n))
		return false;
	return client_lines(ctl, c);
}

static bool client_job(struct control *ctl, struct control_client *c)
{
	int done = control_job_done(ctl->lib, &c->job, &c->out);

	if (done < 0)
		return false;
	return !done || (client_answered(c) && client_lines(ctl, c));
}

/* What the poll said of one client. False: cut off. */
static bool client_serve(struct control *ctl, struct control_client *c, short events)
{
	bool waits = control_job_waits(&c->job);

	if (waits)
		return !(events & (POLLHUP | POLLERR)) && client_job(ctl, c);
	if (time_mono_ns() > c->patience_ns)
		return false;
	if (c->job.state == CONTROL_WRITING)
		return !events || (client_write(c) && client_lines(ctl, c));
	return !events || client_read(ctl, c);
}

static struct control_client *control_free_place(struct control *ctl)
{
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		if (ctl->clients[i].fd < 0)
			return &ctl->clients[i];
	return NULL;
}

static void control_accept(struct control *ctl)
{
	struct control_client *c = control_free_place(ctl);
	int fd = c ? accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;

	if (fd < 0)
		return;
	c->fd = fd;
	client_patience(c);
}

/* Poll's list: stop, listen, then the clients by their place; *timeout_ms by what is waited for. */
static void control_poll_list(struct control *ctl, struct pollfd list[2 + CONTROL_CLIENTS],
			      int *timeout_ms)
{
	*timeout_ms = -1;
	list[0] = (struct pollfd){ .fd = ctl->stop_fd, .events = POLLIN };
	list[1] = (struct pollfd){ .fd = control_free_place(ctl) ? ctl->listen_fd : -1,
				   .events = POLLIN };
	for (int i = 0; i < CONTROL_CLIENTS; i++) {
		const struct control_client *c = &ctl->clients[i];
		bool waits = control_job_waits(&c->job);

		list[2 + i] = (struct pollfd){ .fd = c->fd };
		if (c->fd < 0)
			continue;
		if (!waits)
			list[2 + i].events = c->job.state == CONTROL_WRITING ? POLLOUT : POLLIN;
		if (waits)
			*timeout_ms = CONTROL_TICK_MS;
		else if (*timeout_ms < 0)
			*timeout_ms = CONTROL_IDLE_MS;
	}
}

static void *control_main(void *arg)
{
	struct control *ctl = arg;
	struct pollfd list[2 + CONTROL_CLIENTS];
	int timeout_ms;

	for (;;) {
		control_poll_list(ctl, list, &timeout_ms);
		if (poll(list, 2 + CONTROL_CLIENTS, timeout_ms) < 0 && errno != EINTR)
			log_error("the control socket: poll: %s", err_text(-errno));
		if (list[0].revents)
			break;
		if (list[1].revents)
			control_accept(ctl);
		for (int i = 0; i < CONTROL_CLIENTS; i++)
			if (list[2 + i].fd >= 0 &&
			    !client_serve(ctl, &ctl->clients[i], list[2 + i].revents))
				client_end(&ctl->clients[i]);
	}
	return NULL;
}

/*
 * The socket's file. One that is there was left by a process that was killed: mount.lock says that
 * nobody else serves.
 */
static int control_listen(struct library *lib, int *out)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	control_address(lib->dir_fd, &address);
	if (unlinkat(lib->dir_fd, CONTROL_NAME, 0) && errno != ENOENT)
		goto failed;
	/* The mode of the file is that of the socket before it is bound. */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, CONTROL_CLIENTS))
		goto failed;
	*out = fd;
	return 0;
failed:;
	int rc = -errno;

	close(fd);
	return rc;
}

static void control_free(struct control *ctl)
{
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		client_end(&ctl->clients[i]);
	if (ctl->listen_fd >= 0)
		close(ctl->listen_fd);
	if (ctl->stop_fd >= 0)
		close(ctl->stop_fd);
	json_decref(ctl->described);
	lock_release(&ctl->lock);
	free(ctl);
}

static int control_prepare(struct control *ctl)
{
	ctl->described = json_object();
	ctl->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!ctl->described)
		return -ENOMEM;
	if (ctl->stop_fd < 0)
		return -errno;
	return control_listen(ctl->lib, &ctl->listen_fd);
}

int control_start(struct library *lib)
{
	struct control *ctl;

	if (!(lib->flags & LIBRARY_MOUNT) || library_read_only(lib))
		return 0;
	ctl = calloc(1, sizeof(*ctl));
	if (!ctl)
		return -ENOMEM;
	ctl->lib = lib;
	ctl->listen_fd = -1;
	lock_init(&ctl->lock, LOCK_RANK_SEALER);
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		ctl->clients[i].fd = -1;
	int rc = control_prepare(ctl);

	if (rc == 0)
		rc = thread_start("garner-control", control_main, ctl, &ctl->thread);
	if (rc) {
		control_free(ctl);
		return rc;
	}
	lib->control = ctl;
	return 0;
}

void control_stop(struct library *lib)
{
	struct control *ctl = lib->control;
	uint64_t one = 1;

	if (!ctl)
		return;
	while (write(ctl->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	pthread_join(ctl->thread, NULL);
	(void)unlinkat(lib->dir_fd, CONTROL_NAME, 0);
	lib->control = NULL;
	control_free(ctl);
}

int control_describe(struct library *lib, const char *name, const char *text)
{
	struct control *ctl = lib->control;

	if (!ctl)
		return -ENOTCONN;
	lock_lock(&ctl->lock);
	int rc = json_object_set_new(ctl->described, name, json_string(text)) ? -ENOMEM : 0;

	lock_unlock(&ctl->lock);
	return rc;
}
