/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading and checking what is said of a bucket. */
#include "config.h"

#include "backend/s3/settings.h"
#include "util/cleanup.h"
#include "util/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKET_MIN = 3, BUCKET_MAX = 255, PREFIX_MAX = 512 };

/* Takes a copy of the text in place of what *FIELD had. */
static int set(char **field, const char *text, size_t len)
{
	char *copy = strndup(text, len);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int complain(struct buf *why, const char *text)
{
	buf_reset(why);
	buf_add_str(why, text);
	return -EINVAL;
}

/* Amazon's rules of today, and the capitals, underscores and lengths that others take. */
static bool bucket_is_good(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return len >= BUCKET_MIN && len <= BUCKET_MAX && isalnum((unsigned char)name[0]);
}

/* No part of a prefix may be empty or a dot name: servers and proxies rewrite such paths. */
static bool prefix_is_good(const char *prefix, size_t len)
{
	const char *end = prefix + len;

	if (len > PREFIX_MAX || (len > 0 && prefix[len - 1] == '/'))
		return false;
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_char_len(prefix + i, len - i);
		if (n == 0)
			return false;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)prefix[i] < 0x20 || prefix[i] == 0x7f)
			return false;
	for (const char *part = prefix; part < end;) {
		const char *slash = memchr(part, '/', (size_t)(end - part));
		size_t n = (size_t)((slash ? slash : end) - part);

		if (n == 0 || (n <= 2 && strspn(part, ".") >= n))
			return false;
		part += n + 1;
	}
	return true;
}

int s3_settings_url(struct s3_settings *s, const char *url, struct buf *why)
{
	const char *bucket = url + 5, *slash;
	size_t bucket_len, prefix_len = 0;
	int err;

	if (strncmp(url, "s3://", 5))
		return complain(why, "s3://BUCKET/PREFIX is wanted");
	slash = strchr(bucket, '/');
	bucket_len = slash ? (size_t)(slash - bucket) : strlen(bucket);
	if (!bucket_is_good(bucket, bucket_len))
		return complain(why, "the bucket's name is not one (letters, digits, '-', '.', "
				     "at least 3)");
	if (slash) {
		slash++;
		prefix_len = strlen(slash);
		if (prefix_len > 1 && slash[prefix_len - 1] == '/')
			prefix_len--;
	}
	if (prefix_len && !prefix_is_good(slash, prefix_len))
		return complain(why, "the prefix has an empty part, '.' or '..', control "
				     "characters or more than 512 bytes");
	err = set(&s->bucket, bucket, bucket_len);
	return err ? err : set(&s->prefix, prefix_len ? slash : "", prefix_len);
}

/* The length of the scheme with its "://", 0 for none that is known. */
static size_t scheme_len(const char *url)
{
	if (!strncmp(url, "http://", 7))
		return 7;
	return strncmp(url, "https://", 8) ? 0 : 8;
}

int s3_settings_endpoint(struct s3_settings *s, const char *url, struct buf *why)
{
	size_t scheme = scheme_len(url), len = strlen(url);

	if (!scheme)
		return complain(why, "http://HOST[:PORT] or https://HOST[:PORT] is wanted");
	if (len > scheme && url[len - 1] == '/')
		len--;
	for (size_t i = scheme; i < len; i++)
		if (!isalnum((unsigned char)url[i]) && !strchr(".-:[]_", url[i]))
			return complain(why, "no path, user or query can follow the host of an "
					     "endpoint");
	return len == scheme ? complain(why, "the host is missing") : set(&s->endpoint, url, len);
}

static const char *const style_words[] = { "auto", "path", "host" };

const char *s3_settings_style_word(enum s3_style style)
{
	return style_words[style];
}

int s3_settings_style(struct s3_settings *s, const char *word)
{
	for (size_t i = 0; i < sizeof style_words / sizeof *style_words; i++)
		if (!strcmp(word, style_words[i])) {
			s->style = (enum s3_style)i;
			return 0;
		}
	return -EINVAL;
}

int s3_settings_sse(struct s3_settings *s, const char *word)
{
	static const char kms[] = "aws:kms";
	size_t kms_len = sizeof kms - 1;
	int err;

	if (!strcmp(word, "AES256"))
		return set(&s->sse, word, strlen(word));
	if (strncmp(word, kms, kms_len) || (word[kms_len] != ':' && word[kms_len]))
		return -EINVAL;
	for (const char *c = word; *c; c++)
		if (!isgraph((unsigned char)*c))
			return -EINVAL;
	err = set(&s->sse, kms, kms_len);
	if (!err && word[kms_len] && word[kms_len + 1])
		err = set(&s->kms_key, word + kms_len + 1, strlen(word + kms_len + 1));
	return err;
}

int s3_settings_show(const struct s3_settings *s, struct buf *out)
{
	return buf_printf(out, "s3://%s%s%s", s->bucket, *s->prefix ? "/" : "", s->prefix);
}

/* Certificates for *.host do not cover a bucket with a dot in its name. */
static bool is_host_style(const struct s3_settings *s)
{
	if (s->style != S3_STYLE_AUTO)
		return s->style == S3_STYLE_HOST;
	return !s->endpoint && !strchr(s->bucket, '.') && !strchr(s->bucket, '_');
}

/* The host without the port that its scheme means anyway: so clients send it, and so it is signed. */
static size_t host_len(const char *host, bool tls)
{
	const char *port = tls ? ":443" : ":80";
	size_t len = strlen(host), n = strlen(port);

	return len > n && !strcmp(host + len - n, port) ? len - n : len;
}

int s3_settings_address(const struct s3_settings *s, const char *region, struct buf *url,
			struct buf *path, struct buf *host)
{
	CLEANUP_BUF struct buf amazon = BUF_INIT;
	const char *endpoint = s->endpoint;
	bool by_host = is_host_style(s);
	size_t scheme;
	int err = 0;

	if (!endpoint) {
		err = buf_printf(&amazon, "https://s3.%s.amazonaws.com%s", region,
				 strncmp(region, "cn-", 3) ? "" : ".cn");
		endpoint = buf_str(&amazon);
	}
	if (err)
		return err;
	scheme = scheme_len(endpoint);
	err = buf_printf(host, "%s%s%.*s", by_host ? s->bucket : "", by_host ? "." : "",
			 (int)host_len(endpoint + scheme, scheme == 8), endpoint + scheme);
	if (!err && !by_host)
		err = buf_printf(path, "/%s", s->bucket);
	return err ? err
		   : buf_printf(url, "%.*s%s%s", (int)scheme, endpoint, buf_str(host),
				buf_str(path));
}

int s3_settings_copy(const struct s3_settings *s, struct s3_settings *out)
{
	char *const *from[] = { &s->bucket,  &s->prefix,  &s->endpoint, &s->region,
				&s->profile, &s->ca_file, &s->sse,      &s->kms_key };
	char **to[] = { &out->bucket,  &out->prefix,  &out->endpoint, &out->region,
			&out->profile, &out->ca_file, &out->sse,      &out->kms_key };

	*out = (struct s3_settings){ .style = s->style,
				     .connections = s->connections,
				     .stall_s = s->stall_s,
				     .send_limit = s->send_limit,
				     .attempts = s->attempts };
	for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
		*to[i] = *from[i] ? strdup(*from[i]) : NULL;
		if (*from[i] && !*to[i]) {
			s3_settings_release(out);
			return -ENOMEM;
		}
	}
	return 0;
}

void s3_settings_release(struct s3_settings *s)
{
	free(s->bucket);
	free(s->prefix);
	free(s->endpoint);
	free(s->region);
	free(s->profile);
	free(s->ca_file);
	free(s->sse);
	free(s->kms_key);
	*s = (struct s3_settings){ 0 };
}
