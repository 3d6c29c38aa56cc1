/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For shell tests of S3:
 *
 *	s3tool serve              the test server: prints its endpoint, reads commands from standard input
 *	                          (`bucket off|on`, `fail STATUS CODE [METHOD]`, `fault KIND [COUNT]` of what is
 *	                          got: reset, hang, stall, truncate, cut, corrupt; `skew SECONDS`,
 *	                          `conditions off`, `pause`, `resume`, `heal`), answers each with `ok`,
 *	                          and ends with the input
 *	s3tool bucket URL S3-URL  makes the bucket, with keys from where the AWS tools find them
 *	s3tool keys URL S3-URL    prints the keys below the prefix, a page at most
 *	s3tool put URL S3-URL     stores parts of files: each line of standard input is `KEY OFFSET LENGTH FILE`
 *	s3tool get URL S3-URL KEY prints the object's bytes, up to 16 MiB
 *	s3tool delete URL S3-URL KEY
 *	s3tool ports COUNT        prints so many ports that nobody listens on
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/s3/server.h"
#include "backend/s3/client.h"
#include "backend/s3/xml.h"
#include "util/time.h"

enum { PORTS_MAX = 32, BYTES_MAX = 16 << 20 };

/* Texts of faults live as long as the server. */
static char codes[64][64];
static unsigned code_count;

static void fail_command(struct server *s, char *rest)
{
	struct fault fault = { .kind = FAULT_STATUS };
	char *status = strsep(&rest, " "), *code = strsep(&rest, " ");
	char *text = codes[code_count++ % 64], *method = codes[code_count++ % 64];

	snprintf(text, 64, "%s", code ? code : "");
	snprintf(method, 64, "%s", rest ? rest : "");
	fault.status = atoi(status ? status : "500");
	fault.code = text;
	fault.method = *method ? method : NULL;
	server_fault(s, fault);
}

static bool fault_command(struct server *s, char *rest)
{
	static const struct {
		const char *word;
		enum fault_kind kind;
	} kinds[] = { { "reset", FAULT_RESET },       { "hang", FAULT_HANG },
		      { "stall", FAULT_STALL },       { "cut", FAULT_CUT },
		      { "truncate", FAULT_TRUNCATE }, { "corrupt", FAULT_CORRUPT } };
	const char *word = strsep(&rest, " ");

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(word, kinds[i].word))
			continue;
		server_fault(s, (struct fault){ .kind = kinds[i].kind,
						.method = "GET",
						.count = rest ? (unsigned)atoi(rest) : 0 });
		return true;
	}
	return false;
}

static bool command(struct server *s, char *line)
{
	char *rest = line, *word = strsep(&rest, " ");

	if (!strcmp(word, "bucket") && rest)
		server_set_bucket(s, !strcmp(rest, "on"));
	else if (!strcmp(word, "fail") && rest)
		fail_command(s, rest);
	else if (!strcmp(word, "fault") && rest)
		return fault_command(s, rest);
	else if (!strcmp(word, "skew") && rest)
		server_set_skew(s, atol(rest));
	else if (!strcmp(word, "conditions"))
		server_set_conditional(s, false, false);
	else if (!strcmp(word, "pause"))
		server_pause(s);
	else if (!strcmp(word, "resume"))
		server_resume(s);
	else if (!strcmp(word, "heal"))
		server_heal(s);
	else
		return false;
	return true;
}

static int serve(void)
{
	struct server *s = server_start();
	char line[256];

	printf("%s\n", server_url(s));
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		printf("%s\n", command(s, line) ? "ok" : "what?");
		fflush(stdout);
	}
	server_stop(s);
	return 0;
}

static int print_key(void *arg, const char *key, uint64_t size)
{
	(void)arg;
	(void)size;
	puts(key);
	return 0;
}

static void print_page(void *arg, const struct s3_reply *reply)
{
	bool more;

	(void)arg;
	if (!reply->err)
		s3_xml_read_page(reply->text, reply->text_len, print_key, NULL, &more);
}

static int ask(const char *endpoint, const char *url, struct s3_request r)
{
	struct s3_settings settings = { 0 };
	struct s3_client *client = NULL;
	struct buf why = BUF_INIT;
	int err = s3_settings_url(&settings, url, &why);

	if (!err)
		err = s3_settings_endpoint(&settings, endpoint, &why);
	if (!err)
		err = s3_client_new(&settings, s3_credentials_find, &client);
	r.deadline_ns = time_mono_ns() + 120 * TIME_NS_PER_S;
	if (!err)
		err = s3_client_call(client, &r, &why);
	if (err)
		fprintf(stderr, "s3tool: %s\n", buf_str(&why));
	s3_client_free(client);
	s3_settings_release(&settings);
	buf_release(&why);
	return err ? 1 : 0;
}

/* Stores one part of a file. */
static int put_part(const char *endpoint, const char *url, const char *line)
{
	char key[512], path[512];
	unsigned long long off, len;
	int code = 1;

	if (sscanf(line, "%511s %llu %llu %511[^\n]", key, &off, &len, path) != 4)
		return 1;
	char *bytes = malloc(len);
	FILE *file = fopen(path, "re");

	if (bytes && file && !fseeko(file, (off_t)off, SEEK_SET) &&
	    fread(bytes, 1, len, file) == len)
		code = ask(endpoint, url,
			   (struct s3_request){
				   .verb = S3_PUT, .key = key, .body = bytes, .body_len = len });
	else
		fprintf(stderr, "s3tool: %s: cannot be read\n", path);
	if (file)
		fclose(file);
	free(bytes);
	return code;
}

static int put_parts(const char *endpoint, const char *url)
{
	char line[1200];
	int code = 0;

	while (fgets(line, sizeof line, stdin) && !code)
		code = put_part(endpoint, url, line);
	return code;
}

static void print_object(void *arg, const struct s3_reply *reply)
{
	if (!reply->err)
		fwrite(arg, 1, reply->len, stdout);
}

static int get(const char *endpoint, const char *url, const char *key)
{
	void *bytes = malloc(BYTES_MAX);
	int result = bytes ? ask(endpoint, url,
				 (struct s3_request){ .verb = S3_GET,
						      .key = key,
						      .into = bytes,
						      .into_size = BYTES_MAX,
						      .done = print_object,
						      .arg = bytes })
			   : 1;

	free(bytes);
	return result;
}

static int print_ports(int count)
{
	int fds[PORTS_MAX];

	/* All are held until the last is found, so that they differ. */
	for (int i = 0; i < count && i < PORTS_MAX; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET,
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof address;

		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&address, len) ||
		    getsockname(fds[i], (struct sockaddr *)&address, &len))
			return 1;
		printf("%d\n", ntohs(address.sin_port));
	}
	for (int i = 0; i < count && i < PORTS_MAX; i++)
		close(fds[i]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve();
	if (argc == 3 && !strcmp(argv[1], "ports"))
		return print_ports(atoi(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "bucket"))
		return ask(argv[2], argv[3],
			   (struct s3_request){ .verb = S3_PUT, .key = "", .body = "" });
	if (argc == 4 && !strcmp(argv[1], "keys"))
		return ask(argv[2], argv[3],
			   (struct s3_request){ .verb = S3_LIST, .key = "", .done = print_page });
	if (argc == 4 && !strcmp(argv[1], "put"))
		return put_parts(argv[2], argv[3]);
	if (argc == 5 && !strcmp(argv[1], "get"))
		return get(argv[2], argv[3], argv[4]);
	if (argc == 5 && !strcmp(argv[1], "delete"))
		return ask(argv[2], argv[3],
			   (struct s3_request){ .verb = S3_DELETE, .key = argv[4] });
	fprintf(stderr, "usage: s3tool serve | ports COUNT | bucket URL S3-URL | keys URL S3-URL"
			" | put URL S3-URL | get URL S3-URL KEY | delete URL S3-URL KEY\n");
	return 2;
}
