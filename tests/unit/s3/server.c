/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The test server's connections and faults; what it answers is in server-answer.c. */
#include "config.h"

#include "server-internal.h"
#include "util/hex.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 32 << 10 };

static void reset_connection(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static bool send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Reads to the end of the head; *extra bytes of the body came with it. */
static char *read_head(int fd, size_t *head_len, size_t *extra)
{
	char *text = calloc(1, HEAD_MAX + 1), *end = NULL;
	size_t len = 0;

	while (!end && len < HEAD_MAX) {
		ssize_t n = recv(fd, text + len, HEAD_MAX - len, 0);

		if (n <= 0)
			break;
		len += (size_t)n;
		end = strstr(text, "\r\n\r\n");
		/* Who begins with TLS is answered in the clear, as servers do. */
		if (*text < 'A' || *text > 'Z') {
			send_all(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
			break;
		}
	}
	if (!end) {
		free(text);
		return NULL;
	}
	*head_len = (size_t)(end + 4 - text);
	*extra = len - *head_len;
	return text;
}

const char *server_find(const struct s3_pair *pairs, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(pairs[i].name, name))
			return pairs[i].value;
	return NULL;
}

void server_decode(char *text)
{
	char *to = text;

	for (; *text; text++, to++) {
		*to = *text;
		if (*text == '%' && text[1] && text[2]) {
			hex_decode(text + 1, 2, to);
			text += 2;
		}
	}
	*to = '\0';
}

static void parse_query(struct request *r, char *query)
{
	char *rest = query, *pair;

	while ((pair = strsep(&rest, "&")) && r->parameter_count < SERVER_HEADERS) {
		char *value = strchr(pair, '=');

		if (!*pair)
			continue;
		if (value)
			*value++ = '\0';
		else
			value = pair + strlen(pair);
		server_decode(pair);
		server_decode(value);
		r->parameters[r->parameter_count++] = (struct s3_pair){ pair, value };
	}
}

static void parse_head(struct request *r)
{
	char *rest = r->head, *line = strsep(&rest, "\r"), *target, *query;

	r->method = strsep(&line, " ");
	target = strsep(&line, " ");
	r->path = target;
	query = target ? strchr(target, '?') : NULL;
	if (query) {
		*query++ = '\0';
		r->query_text = strdup(query);
		parse_query(r, query);
	}
	if (target) {
		r->path_text = strdup(target);
		server_decode(target);
	}
	while ((line = strsep(&rest, "\r")) && r->header_count < SERVER_HEADERS) {
		char *name = line + 1, *value = strchr(line, ':');

		if (!value)
			continue;
		*value++ = '\0';
		for (char *c = name; *c; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		r->headers[r->header_count++] = (struct s3_pair){ name, value + (*value == ' ') };
	}
}

static bool is_list(const struct request *r)
{
	return server_find(r->parameters, r->parameter_count, "list-type");
}

/* The first fault that wants this request. */
static void choose_fault(struct server *s, struct request *r)
{
	pthread_mutex_lock(&s->mutex);
	s->lists += is_list(r);
	s->gets += !strcmp(r->method, "GET");
	s->puts += !strcmp(r->method, "PUT");
	s->deletes += !strcmp(r->method, "DELETE");
	for (size_t i = 0; i < s->fault_count && !r->fault; i++) {
		struct fault *f = &s->faults[i];
		unsigned seen;

		if (f->method && strcmp(f->method, r->method) &&
		    !(is_list(r) && !strcmp(f->method, "LIST")))
			continue;
		seen = s->fault_seen[i]++;
		if (seen < f->skip || (f->count && seen >= f->skip + f->count))
			continue;
		r->fault_room = *f;
		r->fault = &r->fault_room;
		s->fired++;
	}
	pthread_mutex_unlock(&s->mutex);
}

static bool is_fault(const struct request *r, enum fault_kind kind)
{
	return r->fault && r->fault->kind == kind;
}

static bool read_body(int fd, struct request *r, const char *early, size_t early_len)
{
	const char *length = server_find(r->headers, r->header_count, "content-length");
	size_t len = early_len;

	r->body_len = length ? strtoul(length, NULL, 10) : 0;
	r->body = malloc(r->body_len + 1);
	memcpy(r->body, early, early_len < r->body_len ? early_len : r->body_len);
	while (len < r->body_len) {
		ssize_t n;

		if (is_fault(r, FAULT_RESET_UPLOAD) && len >= r->body_len / 2)
			return false;
		n = recv(fd, r->body + len, r->body_len - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	if (is_fault(r, FAULT_SPOIL_UPLOAD) && r->body_len)
		r->body[r->body_len / 2] ^= 1;
	return !is_fault(r, FAULT_RESET_UPLOAD);
}

/* Until the client or the server gives up. */
static void wait_for_end(struct server *s, int fd)
{
	char byte;

	while (!s->stopping && recv(fd, &byte, 1, 0) > 0)
		;
}

static bool send_answer(struct server *s, int fd, const struct request *r, const struct answer *a)
{
	struct buf head = BUF_INIT;
	size_t len = a->body.len;
	bool part = is_fault(r, FAULT_STALL) || is_fault(r, FAULT_TRUNCATE) ||
		    is_fault(r, FAULT_CUT);
	bool sent;

	buf_printf(&head, "HTTP/1.1 %d %s\r\n%sContent-Length: %zu\r\n\r\n", a->status,
		   a->reason ? a->reason : "Some", buf_str(&a->headers), len);
	if (is_fault(r, FAULT_CORRUPT) && len)
		a->body.data[len / 2] ^= 1;
	sent = send_all(fd, head.data, head.len) &&
	       send_all(fd, buf_str(&a->body), part ? len / 2 : len);
	buf_release(&head);
	if (is_fault(r, FAULT_STALL))
		wait_for_end(s, fd);
	if (is_fault(r, FAULT_CUT))
		reset_connection(fd);
	return sent && !part;
}

static void add_date(struct server *s, struct answer *a)
{
	time_t now = time(NULL) + s->skew;
	char text[40];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_printf(&a->headers, "Date: %s\r\n", text);
}

static void make_answer(struct server *s, struct request *r, struct answer *a)
{
	pthread_mutex_lock(&s->mutex);
	add_date(s, a);
	if (is_fault(r, FAULT_STATUS)) {
		if (r->fault->headers)
			buf_add_str(&a->headers, r->fault->headers);
		server_error(a, r->fault->status, r->fault->code, "");
	} else {
		server_answer(s, r, a);
	}
	pthread_mutex_unlock(&s->mutex);
}

/* Whether the connection goes on. */
static bool serve_request(struct server *s, int fd, struct request *r, const char *early,
			  size_t early_len)
{
	struct answer a = { .status = 200 };
	bool good;

	choose_fault(s, r);
	good = read_body(fd, r, early, early_len);
	if (good && is_fault(r, FAULT_HANG)) {
		wait_for_end(s, fd);
		return false;
	}
	if (!good || is_fault(r, FAULT_RESET)) {
		reset_connection(fd);
		return false;
	}
	make_answer(s, r, &a);
	if (is_fault(r, FAULT_GARBAGE)) {
		good = send_all(fd, "\1\2 what?\r\n\r\n", 12) && false;
	} else if (is_fault(r, FAULT_LOST_REPLY)) {
		reset_connection(fd);
		good = false;
	} else {
		good = send_answer(s, fd, r, &a);
	}
	buf_release(&a.headers);
	buf_release(&a.body);
	return good;
}

static bool serve_one(struct server *s, int fd)
{
	struct request r = { .method = NULL };
	size_t head_len, extra;
	char *early;
	bool good;
	unsigned now;

	r.head = read_head(fd, &head_len, &extra);
	if (!r.head)
		return false;
	early = malloc(extra + 1);
	memcpy(early, r.head + head_len, extra);
	r.head[head_len - 2] = '\0';
	now = ++s->under_way;
	if (now > s->most)
		s->most = now;
	parse_head(&r);
	good = r.path && serve_request(s, fd, &r, early, extra);
	s->under_way--;
	free(early);
	free(r.body);
	free(r.path_text);
	free(r.query_text);
	free(r.head);
	return good;
}

static void *serve(void *arg)
{
	struct connection *c = arg;

	while (!c->server->stopping && serve_one(c->server, c->fd))
		;
	pthread_mutex_lock(&c->server->mutex);
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&c->server->mutex);
	return NULL;
}

static void take_connection(struct server *s, int fd)
{
	struct connection *c = calloc(1, sizeof *c);
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->server = s;
	c->fd = fd;
	pthread_mutex_lock(&s->mutex);
	assert(s->connection_count < SERVER_CONNECTIONS);
	s->connections[s->connection_count++] = c;
	pthread_create(&c->thread, NULL, serve, c);
	pthread_mutex_unlock(&s->mutex);
}

static void *accept_all(void *arg)
{
	struct server *s = arg;
	int fd;

	while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		take_connection(s, fd);
	return NULL;
}

static void start_listening(struct server *s)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)s->port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int one = 1, err;

	s->stopping = false;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	err = bind(s->listener, (struct sockaddr *)&address, len);
	if (!err)
		err = listen(s->listener, 128);
	if (!err)
		err = getsockname(s->listener, (struct sockaddr *)&address, &len);
	assert(!err);
	s->port = ntohs(address.sin_port);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
	err = pthread_create(&s->acceptor, NULL, accept_all, s);
	assert(!err);
}

static void stop_listening(struct server *s)
{
	s->stopping = true;
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->acceptor, NULL);
	close(s->listener);
	pthread_mutex_lock(&s->mutex);
	for (size_t i = 0; i < s->connection_count; i++)
		if (s->connections[i]->fd >= 0) {
			reset_connection(s->connections[i]->fd);
			shutdown(s->connections[i]->fd, SHUT_RDWR);
		}
	pthread_mutex_unlock(&s->mutex);
	for (size_t i = 0; i < s->connection_count; i++) {
		pthread_join(s->connections[i]->thread, NULL);
		free(s->connections[i]);
	}
	s->connection_count = 0;
}

struct server *server_start(void)
{
	struct server *s = calloc(1, sizeof *s);

	pthread_mutex_init(&s->mutex, NULL);
	s->bucket = s->conditional_known = s->conditional_kept = s->delete_many_known = true;
	s->region = "us-east-1";
	start_listening(s);
	return s;
}

void server_stop(struct server *s)
{
	if (!s->stopping)
		stop_listening(s);
	for (size_t i = 0; i < s->object_count; i++) {
		free(s->objects[i].key);
		free(s->objects[i].bytes);
	}
	free(s->objects);
	buf_release(&s->put_headers);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

void server_pause(struct server *s)
{
	stop_listening(s);
}

void server_resume(struct server *s)
{
	start_listening(s);
}

const char *server_url(const struct server *s)
{
	return s->url;
}

void server_fault(struct server *s, struct fault fault)
{
	pthread_mutex_lock(&s->mutex);
	assert(s->fault_count < SERVER_FAULTS);
	s->fault_seen[s->fault_count] = 0;
	s->faults[s->fault_count++] = fault;
	pthread_mutex_unlock(&s->mutex);
}

void server_heal(struct server *s)
{
	pthread_mutex_lock(&s->mutex);
	s->fault_count = 0;
	pthread_mutex_unlock(&s->mutex);
}

unsigned server_requests(struct server *s, const char *method)
{
	unsigned count;

	pthread_mutex_lock(&s->mutex);
	count = *method == 'G'   ? s->gets
		: *method == 'P' ? s->puts
		: *method == 'L' ? s->lists
				 : s->deletes;
	pthread_mutex_unlock(&s->mutex);
	return count;
}

unsigned server_faults(struct server *s)
{
	unsigned count;

	pthread_mutex_lock(&s->mutex);
	count = s->fired;
	pthread_mutex_unlock(&s->mutex);
	return count;
}

unsigned server_most(struct server *s)
{
	return s->most;
}

#define SETTER(name, type, field)                                                                  \
	void name(struct server *s, type value)                                                    \
	{                                                                                          \
		pthread_mutex_lock(&s->mutex);                                                     \
		s->field = value;                                                                  \
		pthread_mutex_unlock(&s->mutex);                                                   \
	}

SETTER(server_set_bucket, bool, bucket)
SETTER(server_set_delete_many, bool, delete_many_known)
SETTER(server_set_region, const char *, region)
SETTER(server_set_skew, long, skew)
SETTER(server_set_token, const char *, token)

void server_set_conditional(struct server *s, bool known, bool kept)
{
	pthread_mutex_lock(&s->mutex);
	s->conditional_known = known;
	s->conditional_kept = kept;
	pthread_mutex_unlock(&s->mutex);
}

const char *server_put_header(struct server *s, const char *name)
{
	struct buf wanted = BUF_INIT;
	const char *found;

	buf_printf(&wanted, "\n%s: ", name);
	pthread_mutex_lock(&s->mutex);
	found = strstr(buf_str(&s->put_headers), wanted.data);
	snprintf(s->put_value, sizeof s->put_value, "%.*s",
		 found ? (int)strcspn(found + wanted.len, "\n") : 0,
		 found ? found + wanted.len : "");
	pthread_mutex_unlock(&s->mutex);
	buf_release(&wanted);
	return s->put_value;
}
