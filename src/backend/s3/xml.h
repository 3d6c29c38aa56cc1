/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The XML texts that S3 answers with and garner reads: errors, pages of ListObjectsV2, and what DeleteObjects left. Read
 * strictly as XML, loosely as documents: elements that are not known are skipped.
 */
#ifndef BACKEND_S3_XML_H
#define BACKEND_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an error's body says; "" where it says nothing. Cut where it does not fit. */
struct s3_xml_error {
	char code[64];
	char message[256];
	char region[48];
	char endpoint[128];
};

/* Called for each key of a page, decoded; nonzero stops the reading and is returned. */
typedef int s3_xml_key_fn(void *arg, const char *key, uint64_t size);

/* The text of the first element NAME in OUT, cut where it does not fit. 0; -EBADMSG: there is none, or it is no XML; -ENOMEM. */
int s3_xml_read_text(const char *text, size_t len, const char *name, char *out, size_t size);

/* Reads the body of an error; what is no such XML leaves all of *OUT "". */
void s3_xml_read_error(const char *text, size_t len, struct s3_xml_error *out);

/*
 * Reads a page of ListObjectsV2 (asked for with encoding-type=url), calling FN with ARG for each key
 * in its order; *MORE tells whether another page follows. 0; FN's value; -EBADMSG for what is no whole
 * page; -ENOMEM.
 */
int s3_xml_read_page(const char *text, size_t len, s3_xml_key_fn *fn, void *arg, bool *more);

/* Called for each object that was not deleted; nonzero stops the reading and is returned. */
typedef int s3_xml_left_fn(void *arg, const char *key, const char *code);

/* Reads the answer to DeleteObjects, calling FN with ARG for each error in it. 0; FN's value; -EBADMSG for what is no whole answer; -ENOMEM. */
int s3_xml_read_left(const char *text, size_t len, s3_xml_left_fn *fn, void *arg);

#endif
