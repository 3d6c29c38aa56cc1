/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the test server answers: signatures, objects, pages. */
#include "config.h"

#include "server-internal.h"
#include "util/hex.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void server_error(struct answer *a, int status, const char *code, const char *more)
{
	a->status = status;
	a->reason = "Error";
	buf_reset(&a->body);
	if (code)
		buf_printf(&a->body,
			   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
			   "<Message>as told</Message>%s<Resource>/</Resource></Error>",
			   code, more);
}

/* Seconds since 1970 of "20130524T000000Z". */
static time_t read_date(const char *text)
{
	struct tm tm = { 0 };

	return text && strptime(text, "%Y%m%dT%H%M%SZ", &tm) ? timegm(&tm) : 0;
}

/* The headers that the signature covers. */
static void collect_signed(const struct request *r, const char *authorization,
			   struct s3_sign_request *sign, struct s3_pair *pairs, char *names)
{
	const char *list = strstr(authorization, "SignedHeaders=");
	char *rest = names, *name;

	snprintf(names, 1000, "%.*s", list ? (int)strcspn(list + 14, ",") : 0,
		 list ? list + 14 : "");
	while ((name = strsep(&rest, ";"))) {
		const char *value = server_find(r->headers, r->header_count, name);

		pairs[sign->header_count++] = (struct s3_pair){ name, value ? value : "" };
	}
	sign->headers = pairs;
}

static bool header_signature_is_good(struct server *s, struct request *r, time_t date)
{
	const char *sent = server_find(r->headers, r->header_count, "authorization");
	struct s3_sign_key key = { SERVER_KEY, SERVER_SECRET, NULL };
	struct s3_pair pairs[SERVER_HEADERS];
	char names[1000];
	struct buf wanted = BUF_INIT;
	struct s3_sign_request sign = { .method = r->method,
					.path = r->path_text,
					.query = r->parameters,
					.query_count = r->parameter_count,
					.region = s->region,
					.service = "s3",
					.now = date };
	bool good;

	sign.payload = server_find(r->headers, r->header_count, "x-amz-content-sha256");
	if (!sent || !sign.payload)
		return false;
	collect_signed(r, sent, &sign, pairs, names);
	good = !s3_sign_header(&wanted, &sign, &key) && !strcmp(buf_str(&wanted), sent);
	buf_release(&wanted);
	return good;
}

static bool presigned_is_good(struct server *s, struct request *r)
{
	const char *date = server_find(r->parameters, r->parameter_count, "X-Amz-Date");
	const char *expires = server_find(r->parameters, r->parameter_count, "X-Amz-Expires");
	struct s3_sign_key key = { SERVER_KEY, SERVER_SECRET, s->token };
	struct s3_pair host = { "host", server_find(r->headers, r->header_count, "host") };
	struct s3_sign_request sign = { .method = r->method,
					.path = r->path_text,
					.headers = &host,
					.header_count = 1,
					.payload = S3_SIGN_UNSIGNED,
					.region = s->region,
					.service = "s3",
					.now = read_date(date) };
	unsigned seconds = expires ? (unsigned)strtoul(expires, NULL, 10) : 0;
	struct buf wanted = BUF_INIT;
	bool good = seconds && sign.now + seconds >= time(NULL) + s->skew &&
		    !s3_sign_presign(&wanted, &sign, &key, seconds) &&
		    !strcmp(buf_str(&wanted), r->query_text);

	buf_release(&wanted);
	return good;
}

/* Whether whoever asks may; else the answer says why not. */
static bool is_allowed(struct server *s, struct request *r, struct answer *a)
{
	const char *authorization = server_find(r->headers, r->header_count, "authorization");
	const char *token = server_find(r->headers, r->header_count, "x-amz-security-token");
	time_t date = read_date(server_find(r->headers, r->header_count, "x-amz-date"));
	long off = (long)(date - (time(NULL) + s->skew));
	char scope[128], more[128];

	if (server_find(r->parameters, r->parameter_count, "X-Amz-Signature")) {
		if (presigned_is_good(s, r))
			return true;
		server_error(a, 403, "AccessDenied", "");
		return false;
	}
	snprintf(scope, sizeof scope, "/%s/s3/aws4_request", s->region);
	snprintf(more, sizeof more, "<Region>%s</Region>", s->region);
	if (!authorization)
		server_error(a, 403, "AccessDenied", "");
	else if (!strstr(authorization, "Credential=" SERVER_KEY "/"))
		server_error(a, 403, "InvalidAccessKeyId", "");
	else if (s->token && (!token || strcmp(token, s->token)))
		server_error(a, 400, "ExpiredToken", "");
	else if (!strstr(authorization, scope))
		server_error(a, 400, "AuthorizationHeaderMalformed", more);
	else if (off > 900 || off < -900)
		server_error(a, 403, "RequestTimeTooSkewed", "");
	else if (!header_signature_is_good(s, r, date))
		server_error(a, 403, "SignatureDoesNotMatch", "");
	else
		return true;
	return false;
}

/* The index of the first object whose key is not below `key`. */
static size_t lower_bound(const struct server *s, const char *key)
{
	size_t low = 0, high = s->object_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(s->objects[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct object *find_object(struct server *s, const char *key)
{
	size_t i = lower_bound(s, key);

	return i < s->object_count && !strcmp(s->objects[i].key, key) ? &s->objects[i] : NULL;
}

void *server_object(struct server *s, const char *key, size_t *len)
{
	struct object *o;
	void *copy = NULL;

	pthread_mutex_lock(&s->mutex);
	o = find_object(s, key);
	if (o) {
		copy = malloc(o->len + 1);
		memcpy(copy, o->bytes, o->len);
		*len = o->len;
	}
	pthread_mutex_unlock(&s->mutex);
	return copy;
}

static void store_object(struct server *s, const char *key, struct request *r)
{
	struct object *o = find_object(s, key);
	size_t i = lower_bound(s, key);

	if (!o) {
		s->objects = realloc(s->objects, (s->object_count + 1) * sizeof *s->objects);
		o = &s->objects[i];
		memmove(o + 1, o, (s->object_count++ - i) * sizeof *o);
		*o = (struct object){ .key = strdup(key) };
	}
	free(o->bytes);
	o->bytes = r->body;
	o->len = r->body_len;
	r->body = NULL;
}

void server_store(struct server *s, const char *key, const void *bytes, size_t len)
{
	struct request r = { .body = malloc(len + 1), .body_len = len };

	memcpy(r.body, bytes, len);
	pthread_mutex_lock(&s->mutex);
	store_object(s, key, &r);
	pthread_mutex_unlock(&s->mutex);
	free(r.body);
}

static void note_headers(struct server *s, const struct request *r)
{
	buf_reset(&s->put_headers);
	buf_add_byte(&s->put_headers, '\n');
	for (size_t i = 0; i < r->header_count; i++)
		buf_printf(&s->put_headers, "%s: %s\n", r->headers[i].name, r->headers[i].value);
}

/* Parts of an object that is not made yet are objects under a key of their own, which a test can look for. */
static void part_key(char out[512], const char *upload, unsigned part)
{
	snprintf(out, 512, "~upload/%s/%05u", upload, part);
}

static unsigned part_of(const struct request *r)
{
	const char *part = server_find(r->parameters, r->parameter_count, "partNumber");

	return part ? (unsigned)strtoul(part, NULL, 10) : 0;
}

/* The key of "/bucket/key"; keys are kept as they are sent. NULL: another bucket's. */
static const struct object *copied_object(struct server *s, const struct request *r)
{
	static const char start[] = "/" SERVER_BUCKET "/";
	const char *source = server_find(r->headers, r->header_count, "x-amz-copy-source");
	char key[1024];

	snprintf(key, sizeof key, "%s", source);
	server_decode(key);
	return strncmp(key, start, sizeof start - 1) ? NULL
						     : find_object(s, key + sizeof start - 1);
}

static void copy_object(struct server *s, struct request *r, struct answer *a, const char *key)
{
	const struct object *o = copied_object(s, r);

	note_headers(s, r);
	if (!o) {
		server_error(a, 404, "NoSuchKey", "");
		return;
	}
	free(r->body);
	r->body = malloc(o->len + 1);
	memcpy(r->body, o->bytes, o->len);
	r->body_len = o->len;
	store_object(s, key, r);
	buf_add_str(&a->body, "<?xml version=\"1.0\"?><CopyResult><LastModified>x</LastModified>"
			      "<ETag>&quot;copied&quot;</ETag></CopyResult>");
}

static void delete_object(struct server *s, struct answer *a, const char *key);

static void drop_upload(struct server *s, struct answer *a, const char *upload)
{
	char key[512];

	for (unsigned part = 1; part <= SERVER_PARTS; part++) {
		part_key(key, upload, part);
		delete_object(s, a, key);
	}
}

/* Puts the listed parts together; all but the last have the size that S3 wants. */
static void end_upload(struct server *s, struct request *r, struct answer *a, const char *key,
		       const char *upload)
{
	struct request whole = { .body = NULL };
	const char *at = r->body;

	r->body[r->body_len] = 0;
	while ((at = strstr(at, "<PartNumber>"))) {
		const struct object *o;
		char part[512];

		at += strlen("<PartNumber>");
		part_key(part, upload, (unsigned)strtoul(at, NULL, 10));
		o = find_object(s, part);
		if (!o || (o->len < 5 << 20 && strstr(at, "<PartNumber>"))) {
			free(whole.body);
			server_error(a, 400, o ? "EntityTooSmall" : "InvalidPart", "");
			return;
		}
		whole.body = realloc(whole.body, whole.body_len + o->len + 1);
		memcpy(whole.body + whole.body_len, o->bytes, o->len);
		whole.body_len += o->len;
	}
	store_object(s, key, &whole);
	drop_upload(s, a, upload);
	a->status = 200;
	buf_add_str(&a->body, "<CompleteMultipartUploadResult/>");
}

static void post_object(struct server *s, struct request *r, struct answer *a, const char *key)
{
	const char *upload = server_find(r->parameters, r->parameter_count, "uploadId");

	if (upload)
		end_upload(s, r, a, key, upload);
	else
		buf_add_str(&a->body, "<InitiateMultipartUploadResult xmlns=\"x\"><Key>k</Key>"
				      "<UploadId>up+1=</UploadId></InitiateMultipartUploadResult>");
}

static void put_object(struct server *s, struct request *r, struct answer *a, const char *key)
{
	const char *told = server_find(r->headers, r->header_count, "x-amz-content-sha256");
	const char *checksum = server_find(r->headers, r->header_count, "x-amz-checksum-sha256");
	const char *condition = server_find(r->headers, r->header_count, "if-none-match");
	bool other = r->fault && r->fault->kind == FAULT_WRONG_CHECKSUM;
	char hex[65], base64[48];
	uint8_t hash[32];

	note_headers(s, r);
	EVP_Digest(r->body, r->body_len, hash, NULL, EVP_sha256(), NULL);
	hex_encode(hash, sizeof hash, hex);
	EVP_EncodeBlock((unsigned char *)base64, hash, sizeof hash);
	if (strcmp(hex, told)) {
		server_error(a, 400, "XAmzContentSHA256Mismatch", "");
	} else if (checksum && strcmp(base64, checksum)) {
		server_error(a, 400, "BadDigest", "");
	} else if (condition && !s->conditional_known) {
		server_error(a, 501, "NotImplemented", "");
	} else if (condition && s->conditional_kept && find_object(s, key)) {
		server_error(a, 412, "PreconditionFailed", "");
	} else {
		store_object(s, key, r);
		buf_printf(&a->headers, "ETag: \"%s\"\r\n",
			   r->fault && r->fault->kind == FAULT_WRONG_ETAG ? "wrong" : "right");
		buf_printf(&a->headers, "x-amz-checksum-sha256: %s\r\n", other ? "other=" : base64);
	}
}

static void get_object(struct server *s, const struct request *r, struct answer *a, const char *key)
{
	const struct object *o = find_object(s, key);
	const char *range = server_find(r->headers, r->header_count, "range");
	unsigned long long first = 0, last;

	if (!o) {
		server_error(a, 404, "NoSuchKey", "");
		return;
	}
	last = o->len - 1;
	if (range && !(r->fault && r->fault->kind == FAULT_NO_RANGE)) {
		sscanf(range, "bytes=%llu-%llu", &first, &last);
		if (first >= o->len) {
			server_error(a, 416, "InvalidRange", "");
			return;
		}
		last = last < o->len ? last : o->len - 1;
		if (r->fault && r->fault->kind == FAULT_WRONG_PART)
			first = first < last ? first + 1 : first - 1;
		a->status = 206;
		buf_printf(&a->headers, "Content-Range: bytes %llu-%llu/%zu\r\n", first, last,
			   o->len);
	}
	buf_add(&a->body, o->bytes + first, last + 1 - first);
}

static void list_objects(struct server *s, const struct request *r, struct answer *a)
{
	const char *prefix = server_find(r->parameters, r->parameter_count, "prefix");
	const char *after = server_find(r->parameters, r->parameter_count, "start-after");
	const char *most = server_find(r->parameters, r->parameter_count, "max-keys");
	size_t page = most ? strtoul(most, NULL, 10) : SERVER_PAGE, count = 0;
	size_t i = lower_bound(s, prefix);
	bool more, backwards = r->fault && r->fault->kind == FAULT_DISORDER;

	page = page < SERVER_PAGE ? page : SERVER_PAGE;
	if (after && strcmp(after, prefix) > 0) {
		i = lower_bound(s, after);
		i += i < s->object_count && !strcmp(s->objects[i].key, after);
	}
	buf_add_str(&a->body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult "
			      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>");
	while (i + count < s->object_count &&
	       !strncmp(s->objects[i + count].key, prefix, strlen(prefix)) && count <= page)
		count++;
	more = count > page;
	count -= more;
	for (size_t k = 0; k < count; k++) {
		const struct object *o = &s->objects[i + (backwards ? count - 1 - k : k)];

		buf_add_str(&a->body, "<Contents><Key>");
		s3_sign_encode(&a->body, o->key, true);
		buf_printf(&a->body, "</Key><Size>%zu</Size></Contents>", o->len);
	}
	buf_printf(
		&a->body,
		"<IsTruncated>%s</IsTruncated><EncodingType>url</EncodingType></ListBucketResult>",
		more ? "true" : "false");
}

static void delete_object(struct server *s, struct answer *a, const char *key)
{
	struct object *o = find_object(s, key);

	a->status = 204;
	if (!o)
		return;
	free(o->key);
	free(o->bytes);
	s->object_count--;
	memmove(o, o + 1, (size_t)(s->objects + s->object_count - o) * sizeof *o);
}

/* A key of "denied" is kept, as one that a policy protects. */
static void delete_many(struct server *s, struct request *r, struct answer *a)
{
	const char *md5 = server_find(r->headers, r->header_count, "content-md5");
	const char *at = r->body;
	bool quiet = r->body && (r->body[r->body_len] = 0, strstr(r->body, "<Quiet>true"));

	if (!s->delete_many_known || !md5 || !at) {
		server_error(a, s->delete_many_known ? 400 : 501,
			     s->delete_many_known ? "InvalidRequest" : "NotImplemented", "");
		return;
	}
	buf_add_str(&a->body, "<?xml version=\"1.0\"?><DeleteResult xmlns=\"http://x/\">");
	while ((at = strstr(at, "<Key>"))) {
		int len = (int)strcspn(at += 5, "<");
		char key[512];

		snprintf(key, sizeof key, "%.*s", len, at);
		if (strstr(key, "denied")) {
			buf_printf(&a->body,
				   "<Error><Key>%s</Key><Code>AccessDenied</Code>"
				   "<Message>no</Message></Error>",
				   key);
			continue;
		}
		delete_object(s, a, key);
		if (!quiet)
			buf_printf(&a->body, "<Deleted><Key>%s</Key></Deleted>", key);
	}
	a->status = 200;
	buf_add_str(&a->body, "</DeleteResult>");
}

/* Whether the bucket's name is the first part of the host's. */
static bool is_host_style(const struct request *r)
{
	const char *host = server_find(r->headers, r->header_count, "host");

	return host && !strncmp(host, SERVER_BUCKET ".", sizeof SERVER_BUCKET);
}

/* The key of "/bucket/key", NULL: the bucket itself. *OTHER: another bucket. */
static const char *key_of(const struct request *r, bool *other)
{
	static const char start[] = "/" SERVER_BUCKET "/";
	size_t len = sizeof start - 1;

	*other = false;
	if (is_host_style(r))
		return r->path[1] ? r->path + 1 : NULL;
	if (!strncmp(r->path, start, len))
		return r->path + len;
	*other = strcmp(r->path, "/" SERVER_BUCKET) != 0;
	return NULL;
}

void server_answer(struct server *s, struct request *r, struct answer *a)
{
	const char *upload = server_find(r->parameters, r->parameter_count, "uploadId");
	bool other;
	const char *key = key_of(r, &other);
	char part[512];

	if (upload && part_of(r)) {
		part_key(part, upload, part_of(r));
		key = part;
	}
	if (!is_allowed(s, r, a))
		return;
	if (!s->bucket || other)
		server_error(a, 404, "NoSuchBucket", "");
	else if (!key && !strcmp(r->method, "POST"))
		delete_many(s, r, a);
	else if (!key)
		list_objects(s, r, a);
	else if (!strcmp(r->method, "POST"))
		post_object(s, r, a, key);
	else if (!strcmp(r->method, "PUT") &&
		 server_find(r->headers, r->header_count, "x-amz-copy-source"))
		copy_object(s, r, a, key);
	else if (!strcmp(r->method, "PUT"))
		put_object(s, r, a, key);
	else if (!strcmp(r->method, "DELETE") && upload)
		drop_upload(s, a, upload);
	else if (!strcmp(r->method, "DELETE"))
		delete_object(s, a, key);
	else
		get_object(s, r, a, key);
}
