/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The places, in the order of the AWS SDKs and Tools Reference Guide ("Standardized credential
 * providers"). Of what a profile can say, garner does the keys themselves; roles to assume, single
 * sign-on and programs to run are refused by name, not passed over: other credentials than those that
 * were meant are worse than none.
 */
#include "config.h"

#include "backend/s3/credentials.h"
#include "backend/s3/http.h"
#include "backend/s3/profile.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ENDPOINT_MS = 2000, TOKEN_MAX = 16 << 10 };

static void wipe(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void s3_credentials_release(struct s3_credentials *c)
{
	wipe(&c->id);
	wipe(&c->secret);
	wipe(&c->token);
	*c = (struct s3_credentials){ 0 };
}

/* Sets *OUT from texts of which the last may be NULL or "". */
static int make(struct s3_credentials *out, const char *id, const char *secret, const char *token)
{
	*out = (struct s3_credentials){ .id = strdup(id), .secret = strdup(secret) };
	if (token && *token)
		out->token = strdup(token);
	if (out->id && out->secret && (!token || !*token || out->token))
		return 0;
	s3_credentials_release(out);
	return -ENOMEM;
}

int s3_credentials_copy(const struct s3_credentials *c, struct s3_credentials *out)
{
	int err = make(out, c->id, c->secret, c->token);

	if (!err) {
		out->expires_ns = c->expires_ns;
		out->found = c->found;
	}
	return err;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool s3_credentials_same(const struct s3_credentials *a, const struct s3_credentials *b)
{
	return same(a->id, b->id) && same(a->secret, b->secret) && same(a->token, b->token);
}

/* The value of a variable, NULL when unset or empty. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Each of the places: 1 found, 0 nothing there, negative with `why`. */

static int from_environment(struct s3_credentials *out)
{
	const char *id = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
	const char *token = variable("AWS_SESSION_TOKEN");
	int err;

	if (!id || !secret)
		return 0;
	err = make(out, id, secret, token ? token : variable("AWS_SECURITY_TOKEN"));
	out->found = "environment";
	return err ? err : 1;
}

/* Texts of a section: the keys that are there. */
struct keys {
	struct buf id, secret, token;
};

static void wipe_buf(struct buf *b)
{
	if (b->data)
		OPENSSL_cleanse(b->data, b->cap);
	buf_release(b);
}

static void wipe_keys(struct keys *k)
{
	wipe_buf(&k->id);
	wipe_buf(&k->secret);
	wipe_buf(&k->token);
}

static int from_section(const char *text, const char *section, struct s3_credentials *out)
{
	__attribute__((cleanup(wipe_keys))) struct keys k = { .id = BUF_INIT };
	int id = s3_profile_value(text, section, "aws_access_key_id", &k.id);
	int secret = s3_profile_value(text, section, "aws_secret_access_key", &k.secret);
	int token = s3_profile_value(text, section, "aws_session_token", &k.token);
	int err;

	if (id < 0 || secret < 0 || token < 0)
		return -ENOMEM;
	if (!id || !secret)
		return 0;
	err = make(out, buf_str(&k.id), buf_str(&k.secret), buf_str(&k.token));
	out->found = "profile";
	return err ? err : 1;
}

static int refuse_other_ways(const char *text, const char *section, struct buf *why)
{
	static const char *const ways[] = { "role_arn", "sso_session", "sso_start_url",
					    "credential_process", "web_identity_token_file" };
	CLEANUP_BUF struct buf value = BUF_INIT;

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (s3_profile_value(text, section, ways[i], &value)) {
			buf_printf(why,
				   "the profile [%s] wants %s, which garner does not do; "
				   "'aws configure export-credentials' gives keys that it takes",
				   section, ways[i]);
			return -EINVAL;
		}
	return 0;
}

/* A file that is not there is one that says nothing; one that cannot be read is told of. */
static int load(bool config, struct buf *text, struct buf *why)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = s3_profile_load(config, &path, text);

	if (!err || err == -ENOENT || err == -ENOTDIR)
		return 0;
	buf_printf(why, "%s cannot be read", buf_str(&path));
	return err;
}

static int from_profile(const char *name, const char *credentials, const char *config, bool asked,
			struct s3_credentials *out, struct buf *why)
{
	CLEANUP_BUF struct buf section = BUF_INIT;
	int result = from_section(credentials, name, out);
	bool is_default = !strcmp(name, "default");

	if (result)
		return result;
	if (is_default && !s3_profile_has(config, "profile default"))
		result = buf_add_str(&section, name);
	else
		result = buf_printf(&section, "profile %s", name);
	if (!result)
		result = from_section(config, buf_str(&section), out);
	if (!result)
		result = refuse_other_ways(config, buf_str(&section), why);
	if (!result)
		result = refuse_other_ways(credentials, name, why);
	if (result || !asked)
		return result;
	buf_printf(why, "the AWS files have no keys for the profile %s", name);
	return -ENOKEY;
}

static int from_files(const char *profile, struct s3_credentials *out, struct buf *why)
{
	struct buf credentials = BUF_INIT, config = BUF_INIT;
	const char *name = s3_profile_name(profile);
	bool asked = profile || variable("AWS_PROFILE");
	int result = load(false, &credentials, why);

	if (!result)
		result = load(true, &config, why);
	if (!result)
		result = from_profile(name, buf_str(&credentials), buf_str(&config), asked, out,
				      why);
	wipe_buf(&credentials);
	wipe_buf(&config);
	return result;
}

/* "2030-01-31T23:59:58Z", as Unix time in ns; 0 when it is no such text. A time that has no room there stands for never. */
static int64_t read_time(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!end || (*end != 'Z' && *end != '.' && *end != '+'))
		return 0;
	int64_t seconds = timegm(&tm);

	if (seconds < 0)
		return 0;
	return seconds > INT64_MAX / TIME_NS_PER_S ? INT64_MAX : seconds * TIME_NS_PER_S;
}

int s3_credentials_read(const char *text, size_t len, struct s3_credentials *out)
{
	json_t *all = json_loadb(text, len, 0, NULL);
	const char *id = NULL, *secret = NULL, *token = NULL, *expires = NULL;
	int err = -EINVAL;

	if (all && !json_unpack(all, "{s:s, s:s, s?s, s?s}", "AccessKeyId", &id, "SecretAccessKey",
				&secret, "Token", &token, "Expiration", &expires))
		err = make(out, id, secret, token);
	if (!err && expires) {
		out->expires_ns = read_time(expires);
		if (!out->expires_ns) {
			s3_credentials_release(out);
			err = -EINVAL;
		}
	}
	json_decref(all);
	return err;
}

/* Asks an endpoint; its answer's text is OUT's, *status 200 or it fails. */
static int ask(const char *method, const char *url, const char *headers, const bool *stop,
	       struct buf *out, struct buf *why)
{
	struct s3_http_answer answer;
	int err = s3_http_fetch(method, url, headers, ENDPOINT_MS, stop, &answer);

	if (!err && answer.status != 200) {
		buf_printf(why, "%s answers %d", url, answer.status);
		err = answer.status == 404 ? -ENOENT : -EACCES;
	} else if (err) {
		buf_printf(why, "%s: %s", url, answer.trouble);
	}
	if (!err)
		err = buf_add(out, buf_str(&answer.text), answer.text.len);
	wipe_buf(&answer.text);
	return err;
}

static int read_answer(const struct buf *text, const char *found, struct s3_credentials *out,
		       struct buf *why)
{
	int err = s3_credentials_read(buf_str(text), text->len, out);

	if (!err) {
		out->found = found;
		return 1;
	}
	buf_printf(why, "the %s's endpoint gives no credentials that can be read", found);
	return err;
}

/* A full address must be one that nobody on the way can listen to. */
static bool is_safe(const char *url)
{
	static const char *const hosts[] = { "localhost",     "127.0.0.1",      "[::1]",
					     "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]" };

	if (!strncmp(url, "https://", 8))
		return true;
	if (strncmp(url, "http://", 7))
		return false;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		size_t len = strlen(hosts[i]);

		if (!strncmp(url + 7, hosts[i], len) && strchr(":/", url[7 + len]))
			return true;
	}
	return false;
}

static int add_authorization(struct buf *headers, struct buf *why)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	const char *token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	const char *file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	int err = 0;

	if (file) {
		err = io_read_file(AT_FDCWD, file, TOKEN_MAX, &text);
		if (err)
			buf_printf(why, "%s cannot be read", file);
		token = buf_str(&text);
	}
	if (!err && token && strpbrk(token, "\r\n")) {
		buf_printf(why, "the container's authorization token has a line break in it");
		err = -EINVAL;
	}
	if (!err && token)
		err = buf_printf(headers, "Authorization: %s\n", token);
	return err;
}

static int from_container(const bool *stop, struct s3_credentials *out, struct buf *why)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	CLEANUP_BUF struct buf headers = BUF_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	int err;

	if (!relative && !full)
		return 0;
	err = relative ? buf_printf(&url, "http://169.254.170.2%s", relative)
		       : buf_add_str(&url, full);
	if (!err && !is_safe(buf_str(&url))) {
		buf_printf(why, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor local");
		err = -EINVAL;
	}
	if (!err)
		err = add_authorization(&headers, why);
	if (!err)
		err = ask("GET", buf_str(&url), buf_str(&headers), stop, &text, why);
	return err ? err : read_answer(&text, "container", out, why);
}

/* The role's name is the first line of what the folder answers. */
static int ask_role(const char *base, const char *headers, const bool *stop, struct buf *text,
		    struct buf *why)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	CLEANUP_BUF struct buf role = BUF_INIT;
	static const char path[] = "/latest/meta-data/iam/security-credentials/";
	int err = buf_printf(&url, "%s%s", base, path);

	if (!err)
		err = ask("GET", buf_str(&url), headers, stop, &role, why);
	if (!err)
		err = buf_printf(&url, "%.*s", (int)strcspn(buf_str(&role), "\r\n"),
				 buf_str(&role));
	return err ? err : ask("GET", buf_str(&url), headers, stop, text, why);
}

/* Version 2 alone: a session's token first. */
static int from_instance(const bool *stop, struct s3_credentials *out, struct buf *why)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	CLEANUP_BUF struct buf token = BUF_INIT;
	CLEANUP_BUF struct buf headers = BUF_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	const char *off = variable("AWS_EC2_METADATA_DISABLED");
	const char *base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	int err;

	if (off && !strcasecmp(off, "true"))
		return 0;
	if (!base)
		base = "http://169.254.169.254";
	err = buf_printf(&url, "%s/latest/api/token", base);
	if (!err)
		err = ask("PUT", buf_str(&url), "X-aws-ec2-metadata-token-ttl-seconds: 21600\n",
			  stop, &token, why);
	if (!err && strpbrk(buf_str(&token), "\r\n"))
		err = -EINVAL;
	if (!err)
		err = buf_printf(&headers, "X-aws-ec2-metadata-token: %s\n", buf_str(&token));
	if (!err)
		err = ask_role(base, buf_str(&headers), stop, &text, why);
	return err ? err : read_answer(&text, "instance", out, why);
}

int s3_credentials_find(const char *profile, const bool *stop, struct s3_credentials *out,
			struct buf *why)
{
	CLEANUP_BUF struct buf instance = BUF_INIT;
	struct s3_credentials found = { 0 };
	int result = profile ? 0 : from_environment(&found);

	if (!result)
		result = from_files(profile, &found, why);
	if (!result)
		result = from_container(stop, &found, why);
	if (!result) {
		result = from_instance(stop, &found, &instance);
		if (result <= 0 && result != -ENOMEM) {
			buf_printf(why,
				   "no credentials: not in AWS_ACCESS_KEY_ID, not in the "
				   "profile %s of ~/.aws/credentials, no container's or "
				   "instance's role",
				   s3_profile_name(profile));
			if (instance.len)
				buf_printf(why, " (%s)", buf_str(&instance));
			result = -ENOKEY;
		}
	}
	if (result <= 0)
		return result;
	*out = found;
	return 0;
}
