#ifndef CORE_S3_REPLY_H
#define CORE_S3_REPLY_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/** What an answer of S3 means for whoever asked. */
enum s3_verdict {
    S3_DONE,     /* a 2xx without an error in its body */
    S3_EXISTS,   /* 412: something is there under that name */
    S3_MISSING,  /* 404 of an object or an upload */
    S3_AGAIN,    /* the same may work later */
    S3_SLOW,     /* the same, and with less at once */
    S3_SKEWED,   /* our clock is off: again with the server's */
    S3_EXPIRED,  /* the credentials have run out: again with newer ones */
    S3_UNUSABLE, /* credentials, bucket, region: nothing can be stored */
    S3_CANT,     /* the store doesn't do what was asked (501) */
};

struct s3_reply {
    enum s3_verdict verdict;
    /* it may be the request's form that is refused (frames, trailer,
     * checksum, condition): another one may be taken */
    bool form;
    char code[64];     /* S3's, or "" */
    char message[160]; /* S3's, or "" */
};

/**
 * Judge an answer.
 *
 * @param body  The start of it at least; errors come with status 200 too.
 */
void s3_reply_read(int status, struct str body, struct s3_reply *reply);

/** In words, for people: status, code, message. */
void s3_reply_words(int status, const struct s3_reply *reply, char *out,
                    size_t out_bytes);

/**
 * The text of the first element of that name at or after *at, which moves
 * behind it; entities stay as they are. Absent: none.
 */
struct str s3_xml(struct str body, const char *name, size_t *at);

/** Appends the text with &amp; &lt; &gt; &quot; &apos; decoded. */
void s3_xml_decode(struct buf *out, struct str text);

/** Milliseconds of "2026-11-22T06:00:00.000Z", or -1. */
int64_t s3_time(struct str text);

/** Milliseconds of "Sun, 22 Nov 2026 06:00:00 GMT", or -1. */
int64_t s3_http_date(struct str text);

/** Base64 of a hash. @param out At least 45 bytes. */
void s3_base64(const unsigned char hash[32], char out[static 45]);

/** The same of a hash in hex; false, out empty: not 64 digits. */
bool s3_base64_of_hex(const char *hex, char out[static 45]);

#endif
