#ifndef CORE_SIGV4_H
#define CORE_SIGV4_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/**
 * AWS Signature Version 4 as S3, STS and MSK want it: of headers, of a URL's
 * query, of chunks, of trailers. Pure: the time and the key are arguments.
 *
 * Source: "Authenticating Requests (AWS Signature Version 4)" of the Amazon S3
 * API reference, whose examples are the tests.
 */

#define SIGV4_HEX_BYTES 65  /* a signature or a hash, with the NUL */
#define SIGV4_DATE_BYTES 17 /* "20130524T000000Z", with the NUL */
#define SIGV4_HEADERS_MAX 32
#define SIGV4_PARAMS_MAX 16

/* What stands in the place of the body's hash. */
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY                                                            \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGV4_UNSIGNED_TRAILER "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
#define SIGV4_CHUNKS "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
#define SIGV4_CHUNKS_TRAILER "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

struct sigv4_key {
    struct str id;
    struct str secret;
    struct str token; /* absent: long-lived; the caller sends it as a header */
};

struct sigv4_scope {
    const char *region;
    const char *service; /* "s3", "sts", "kafka-cluster" */
    int64_t time_ms;
};

struct sigv4_header {
    const char *name; /* lower case */
    struct str value;
};

struct sigv4_request {
    const char *method;
    struct str path;  /* percent-encoded, as sent */
    struct str query; /* percent-encoded, as sent, without "?"; in any order */
    const struct sigv4_header *headers; /* all are signed; host among them */
    size_t headers_len;                 /* at most SIGV4_HEADERS_MAX */
    struct str payload; /* the body's SHA-256 in hex, or a word from above */
};

/** x-amz-date of a time. */
void sigv4_date(int64_t time_ms, char out[static SIGV4_DATE_BYTES]);

/**
 * Sign a request.
 *
 * @param authorization  Gets the value of the header of that name appended.
 * @param signature      The signature alone, in hex: what chunks go on from.
 * @return               false: no memory; what was written is half of it, and
 *                       must not be sent.
 */
MUST_CHECK bool sigv4_sign(const struct sigv4_request *request,
                           const struct sigv4_key *key,
                           const struct sigv4_scope *scope,
                           struct buf *authorization,
                           char signature[static SIGV4_HEX_BYTES]);

#define SIGV4_PRESIGN_S_MAX 604800 /* a week: what the API takes */

/**
 * Sign a request so that its URL alone does: for whoever has it, for a while.
 *
 * @param request    Its query is what stands there besides; no body, and no
 *                   payload where that is SIGV4_UNSIGNED, as S3 wants it.
 * @param expires_s  1 to SIGV4_PRESIGN_S_MAX.
 * @param query      Gets the whole query appended, without "?".
 * @return           false: no memory; what was written is half of it.
 */
MUST_CHECK bool sigv4_presign(const struct sigv4_request *request,
                              const struct sigv4_key *key,
                              const struct sigv4_scope *scope, int expires_s,
                              struct buf *query);

/** Each chunk's signature covers the one before it. */
struct sigv4_chain {
    unsigned char key[32];
    char date[SIGV4_DATE_BYTES];
    char scope[128];
    char last[SIGV4_HEX_BYTES];
};

/**
 * @param seed  The signature of the request's head.
 * @return      false: no memory.
 */
MUST_CHECK bool sigv4_chain_init(struct sigv4_chain *chain,
                                 const struct sigv4_key *key,
                                 const struct sigv4_scope *scope,
                                 const char *seed);

/** Afterwards chain->last is the chunk's signature. The last one is empty. */
void sigv4_chain_chunk(struct sigv4_chain *chain, const void *bytes,
                       size_t len);

/** @param trailer  "name:value\n" of each trailing header, in order of
 * names. */
void sigv4_chain_trailer(struct sigv4_chain *chain, struct str trailer);

/** Appends, percent-encoded: all but A-Z a-z 0-9 - . _ ~ (and, kept, "/"). */
void sigv4_encode(struct buf *out, struct str text, bool keep_slash);

#endif
