/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/credentials.h: each of the places, and their order. */
#include "config.h"

#include "../unit.h"
#include "../wrap.h"
#include "backend/s3/credentials.h"
#include "backend/s3/http.h"
#include "util/cleanup.h"
#include "util/time.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* An endpoint that answers has all the time it takes a slow machine. */
static bool impatient;

WRAP(int, s3_http_fetch,
     (const char *method, const char *url, const char *headers, long timeout_ms, const bool *stop,
      struct s3_http_answer *out))
{
	return __real_s3_http_fetch(method, url, headers, impatient ? timeout_ms : UNIT_PATIENCE_MS,
				    stop, out);
}

/* The endpoints of a container and of an instance, one request per connection. */
struct endpoint {
	int fd;
	char url[64];
	pthread_t thread;
	const char *token; /* wanted in the header Authorization; NULL: none */
	bool no_role;
	unsigned asked;
};

static const char answer_json[] =
	"{\"Code\":\"Success\",\"AccessKeyId\":\"AKIAROLE\",\"SecretAccessKey\":\"s\","
	"\"Token\":\"t\",\"Expiration\":\"2099-01-02T03:04:05Z\"}";

static const char *answer_to(struct endpoint *e, const char *request)
{
	e->asked++;
	if (!strncmp(request, "GET /container ", 15))
		return e->token && !strstr(request, e->token) ? NULL : answer_json;
	if (!strncmp(request, "PUT /latest/api/token ", 22))
		return strstr(request, "X-aws-ec2-metadata-token-ttl-seconds: 21600") ? "session"
										      : NULL;
	if (!strstr(request, "X-aws-ec2-metadata-token: session") || e->no_role)
		return NULL;
	if (!strncmp(request, "GET /latest/meta-data/iam/security-credentials/ ", 48))
		return "my-role\n";
	if (!strncmp(request, "GET /latest/meta-data/iam/security-credentials/my-role ", 55))
		return answer_json;
	return NULL;
}

static void *serve(void *arg)
{
	struct endpoint *e = arg;
	char request[4096], answer[1000];
	int fd;

	while ((fd = accept(e->fd, NULL, NULL)) >= 0) {
		ssize_t n = recv(fd, request, sizeof request - 1, 0);
		const char *text;

		request[n > 0 ? n : 0] = '\0';
		text = answer_to(e, request);
		snprintf(answer, sizeof answer,
			 "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			 text ? "200 OK" : "404 Not Found", text ? strlen(text) : 0,
			 text ? text : "");
		send(fd, answer, strlen(answer), MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static void endpoint_start(struct endpoint *e)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;

	*e = (struct endpoint){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	ck_assert_int_eq(bind(e->fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(e->fd, 8), 0);
	ck_assert_int_eq(getsockname(e->fd, (struct sockaddr *)&address, &len), 0);
	snprintf(e->url, sizeof e->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
	ck_assert_int_eq(pthread_create(&e->thread, NULL, serve, e), 0);
}

static void endpoint_stop(struct endpoint *e)
{
	shutdown(e->fd, SHUT_RDWR);
	pthread_join(e->thread, NULL);
	close(e->fd);
}

struct home {
	char dir[64];
	int fd;
};

static void home_make(struct home *h)
{
	static const char *const names[] = { "AWS_PROFILE",
					     "AWS_DEFAULT_PROFILE",
					     "AWS_CONFIG_FILE",
					     "AWS_SHARED_CREDENTIALS_FILE",
					     "AWS_ACCESS_KEY_ID",
					     "AWS_SECRET_ACCESS_KEY",
					     "AWS_SESSION_TOKEN",
					     "AWS_SECURITY_TOKEN",
					     "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
					     "AWS_CONTAINER_CREDENTIALS_FULL_URI",
					     "AWS_CONTAINER_AUTHORIZATION_TOKEN",
					     "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
					     "AWS_EC2_METADATA_SERVICE_ENDPOINT" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	h->fd = unit_make_dir(h->dir);
	ck_assert_int_eq(mkdirat(h->fd, ".aws", 0700), 0);
	setenv("HOME", h->dir, 1);
}

static void home_write(struct home *h, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", h->dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static int find(const char *profile, struct s3_credentials *out, struct buf *why)
{
	bool stop = false;

	buf_reset(why);
	return s3_credentials_find(profile, &stop, out, why);
}

/* What is found has this id, secret and token. */
static void check_found(const char *profile, const char *where, const char *id, const char *secret,
			const char *token)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct s3_credentials c, copy;

	ck_assert_int_eq(find(profile, &c, &why), 0);
	ck_assert_str_eq(c.found, where);
	ck_assert_int_eq(s3_credentials_copy(&c, &copy), 0);
	s3_credentials_release(&c);
	ck_assert_str_eq(copy.id, id);
	ck_assert_str_eq(copy.secret, secret);
	ck_assert_pstr_eq(copy.token, token);
	s3_credentials_release(&copy);
}

static void check_error(const char *profile, int err, const char *words)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct s3_credentials c;

	ck_assert_int_eq(find(profile, &c, &why), err);
	ck_assert_msg(strstr(buf_str(&why), words) != NULL, "%s", buf_str(&why));
}

START_TEST(nowhere)
{
	struct home h;

	home_make(&h);
	check_error(NULL, -ENOKEY, "AWS_ACCESS_KEY_ID");
	check_error("p", -ENOKEY, "profile p");
	setenv("AWS_PROFILE", "q", 1);
	check_error(NULL, -ENOKEY, "profile q");
	unit_remove_dir(h.dir, h.fd);
}
END_TEST

START_TEST(environment_and_files)
{
	struct home h;

	home_make(&h);
	home_write(&h, ".aws/credentials",
		   "[default]\naws_access_key_id=A1\naws_secret_access_key=S1\n"
		   "[p]\naws_access_key_id=A2\naws_secret_access_key=S2\naws_session_token=T2\n"
		   "[half]\naws_access_key_id=A3\n");
	home_write(&h, ".aws/config",
		   "[default]\naws_access_key_id=no\naws_secret_access_key=no\n"
		   "[profile c]\naws_access_key_id=A4\naws_secret_access_key=S4\n");
	check_found(NULL, "profile", "A1", "S1", NULL);
	check_found("p", "profile", "A2", "S2", "T2");
	check_found("c", "profile", "A4", "S4", NULL);
	check_error("half", -ENOKEY, "half");
	setenv("AWS_PROFILE", "p", 1);
	check_found(NULL, "profile", "A2", "S2", "T2");
	/* The environment goes before files, but not before a profile that was asked for. */
	setenv("AWS_ACCESS_KEY_ID", "AE", 1);
	check_found(NULL, "profile", "A2", "S2", "T2");
	setenv("AWS_SECRET_ACCESS_KEY", "SE", 1);
	check_found(NULL, "environment", "AE", "SE", NULL);
	setenv("AWS_SESSION_TOKEN", "TE", 1);
	check_found(NULL, "environment", "AE", "SE", "TE");
	check_found("c", "profile", "A4", "S4", NULL);
	unit_remove_dir(h.dir, h.fd);
}
END_TEST

START_TEST(ways_that_garner_does_not_go)
{
	struct home h;

	home_make(&h);
	home_write(&h, ".aws/config",
		   "[profile role]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=default\n"
		   "[profile sso]\nsso_session=s\n");
	check_error("role", -EINVAL, "role_arn");
	check_error("sso", -EINVAL, "sso_session");
	unit_remove_dir(h.dir, h.fd);
}
END_TEST

START_TEST(container)
{
	struct endpoint e;
	struct home h;
	char url[100];

	home_make(&h);
	endpoint_start(&e);
	snprintf(url, sizeof url, "%s/container", e.url);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	check_found(NULL, "container", "AKIAROLE", "s", "t");
	e.token = "Authorization: hush";
	check_error(NULL, -ENOENT, "404");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush", 1);
	check_found(NULL, "container", "AKIAROLE", "s", "t");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush\r\nX: y", 1);
	check_error(NULL, -EINVAL, "line break");
	home_write(&h, "token", "hush");
	snprintf(url, sizeof url, "%s/token", h.dir);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", url, 1);
	check_found(NULL, "container", "AKIAROLE", "s", "t");
	/* Keys do not go over a network in the clear. */
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example/x", 1);
	check_error(NULL, -EINVAL, "neither https nor local");
	endpoint_stop(&e);
	/* It was named: what comes after it in the order does not count. */
	snprintf(url, sizeof url, "%s/container", e.url);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	check_error(NULL, -ECONNREFUSED, e.url);
	unit_remove_dir(h.dir, h.fd);
}
END_TEST

START_TEST(instance)
{
	struct endpoint e;
	struct home h;

	home_make(&h);
	endpoint_start(&e);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", e.url, 1);
	check_error(NULL, -ENOKEY, "no credentials");
	ck_assert_uint_eq(e.asked, 0);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	check_found(NULL, "instance", "AKIAROLE", "s", "t");
	ck_assert_uint_eq(e.asked, 3);
	e.no_role = true;
	check_error(NULL, -ENOKEY, "404");
	endpoint_stop(&e);
	check_error(NULL, -ENOKEY, "no credentials");
	unit_remove_dir(h.dir, h.fd);
}
END_TEST

/* Something listens and never answers: the search ends when it is told to. */
static void *stop_soon(void *arg)
{
	usleep(200000);
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELAXED);
	return NULL;
}

START_TEST(a_silent_endpoint)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CLEANUP_BUF struct buf why = BUF_INIT;
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct s3_credentials c;
	pthread_t thread;
	struct home h;
	bool stop = false;
	char url[64];

	home_make(&h);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	impatient = true;
	ck_assert_int_eq(s3_credentials_find(NULL, &stop, &c, &why), -ETIMEDOUT);
	impatient = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, &stop), 0);
	ck_assert_int_eq(s3_credentials_find(NULL, &stop, &c, &why), -ECANCELED);
	pthread_join(thread, NULL);
	close(fd);
	unit_remove_dir(h.dir, h.fd);
}
END_TEST

START_TEST(what_endpoints_answer)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"AccessKeyId\":\"a\"}",
		"{\"AccessKeyId\":1,\"SecretAccessKey\":2}",
		"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"soon\"}",
		("{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\","
		 "\"Expiration\":\"0029-12-31T00:00:00Z\"}"),
		"{\"Code\":\"Failed\"}"
	};
	static const char never[] = "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\","
				    "\"Expiration\":\"9999-12-31T23:59:59Z\"}";
	struct s3_credentials c;

	ck_assert_int_eq(s3_credentials_read(never, sizeof never - 1, &c), 0);
	ck_assert_int_eq(c.expires_ns, INT64_MAX);
	s3_credentials_release(&c);
	ck_assert_int_eq(s3_credentials_read(answer_json, sizeof answer_json - 1, &c), 0);
	ck_assert_int_eq(c.expires_ns / TIME_NS_PER_S, 4071006245);
	s3_credentials_release(&c);
	ck_assert_ptr_null(c.id);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(s3_credentials_read(bad[i], strlen(bad[i]), &c), -EINVAL);
}
END_TEST

UNIT_MAIN("s3/credentials", 20, nowhere, environment_and_files, ways_that_garner_does_not_go,
	  container, instance, a_silent_endpoint, what_endpoints_answer)
