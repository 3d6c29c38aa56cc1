/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The other end of the control socket. */
#include "config.h"

#include "library/control-internal.h"
#include "util/cleanup.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONTROL_CONNECT_TRY_MS = 5, CONTROL_POKE_MS = 5000 };

/* Waits for the descriptor; 0, -ETIMEDOUT or an errno of poll. */
static int control_wait(int fd, short events, int64_t deadline_ns)
{
	for (;;) {
		int64_t left = deadline_ns == INT64_MAX
				       ? -1
				       : (deadline_ns - time_mono_ns()) / TIME_NS_PER_MS;
		struct pollfd one = { .fd = fd, .events = events };

		if (deadline_ns != INT64_MAX && left < 0)
			return -ETIMEDOUT;
		int n = poll(&one, 1, left > 60000 ? 60000 : (int)left);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/*
 * A full queue of the server is waited for: a Unix socket has no other way to say so than EAGAIN.
 */
static int control_connect(int fd, const struct sockaddr_un *address, int64_t deadline_ns)
{
	while (connect(fd, (const struct sockaddr *)address, sizeof(*address))) {
		struct timespec pause = time_to_spec(CONTROL_CONNECT_TRY_MS * TIME_NS_PER_MS);

		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (time_mono_ns() > deadline_ns)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static int control_send(int fd, const char *bytes, size_t len, int64_t deadline_ns)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		int rc = control_wait(fd, POLLOUT, deadline_ns);

		if (rc)
			return rc;
	}
	return 0;
}

/* Reads up to and with the first newline. */
static int control_receive(int fd, struct buf *line, int64_t deadline_ns)
{
	char bytes[4096];

	while (!line->len || line->data[line->len - 1] != '\n') {
		int rc = control_wait(fd, POLLIN, deadline_ns);

		if (rc)
			return rc;
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		if (line->len + (size_t)n > CONTROL_LINE_MAX)
			return -EPROTO;
		rc = buf_add(line, bytes, (size_t)n);
		if (rc)
			return rc;
	}
	return 0;
}

static int control_talk(int fd, const char *request, int64_t deadline_ns, json_t **answer)
{
	CLEANUP_BUF struct buf line = BUF_INIT;
	int rc = control_send(fd, request, strlen(request), deadline_ns);

	if (rc == 0)
		rc = control_send(fd, "\n", 1, deadline_ns);
	if (rc == 0)
		rc = control_receive(fd, &line, deadline_ns);
	if (rc)
		return rc;
	json_t *json = json_loadb(line.data, line.len, 0, NULL);

	if (!json_is_object(json)) {
		json_decref(json);
		return -EPROTO;
	}
	if (answer)
		*answer = json;
	else
		json_decref(json);
	return 0;
}

int control_call(const char *library_path, const char *request, int timeout_ms, json_t **answer)
{
	int64_t deadline_ns = timeout_ms < 0 ? INT64_MAX
					     : time_mono_ns() + timeout_ms * TIME_NS_PER_MS;
	CLEANUP_CLOSE int dir = open(library_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	if (dir < 0 || fd < 0)
		return -errno;
	control_address(dir, &address);
	int rc = control_connect(fd, &address, deadline_ns);

	return rc ? rc : control_talk(fd, request, deadline_ns, answer);
}

void library_changed(struct library *lib)
{
	if (!(lib->flags & LIBRARY_MOUNT))
		(void)control_call(lib->path, "{\"do\":\"poke\"}", CONTROL_POKE_MS, NULL);
}
