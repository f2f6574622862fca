#ifndef SIM_HTTP_REQUEST_H
#define SIM_HTTP_REQUEST_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    HTTP_FIELDS_MAX = 100,
    HTTP_HEAD_BYTES_MAX = 64 * 1024,
    HTTP_BODY_BYTES_MAX = 2 * 1024 * 1024,
};

struct http_field {
    struct str name;
    struct str value;
};

/** A request as views into the bytes that it was read from. */
struct http_request {
    struct str method;
    struct str path;  /* without the query */
    struct str query; /* without the question mark */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t fields_count;
    struct str body;
    size_t body_told; /* Content-Length */
    bool chunked;
    bool keep_alive;
    bool continue_wanted; /* Expect: 100-continue */
    bool again;           /* its connection was answered before */
};

/** What reading came to. */
enum http_read {
    HTTP_MORE,  /* bytes are missing */
    HTTP_WHOLE, /* it is there */
    HTTP_BAD,   /* not HTTP: answer *status and close */
};

/**
 * Read the head of a request.
 *
 * @param used    Set for HTTP_WHOLE: bytes that the head takes.
 * @param status  Set for HTTP_BAD: what to answer.
 */
enum http_read http_request_head(struct http_request *request, struct str bytes,
                                 size_t *used, int *status);

/**
 * Read the body that follows the head.
 *
 * @param bytes    What comes after the head.
 * @param scratch  A chunked body is put together here.
 */
enum http_read http_request_body(struct http_request *request, struct str bytes,
                                 struct buf *scratch, size_t *used,
                                 int *status);

/** The value of a header, or an absent str. */
struct str http_request_field(const struct http_request *request,
                              const char *name);

/** The value of a query parameter as it was written, or an absent str. */
struct str http_request_parameter(const struct http_request *request,
                                  const char *name);

#endif
