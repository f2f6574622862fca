#ifndef EDGE_WEB_FETCH_OWN_H
#define EDGE_WEB_FETCH_OWN_H

#include "edge/fetch.h"
#include "edge/web/client.h"
#include "edge/web/decode.h"

/**
 * A download as fetch.c (its life) and fetch_reply.c (what comes) both see it;
 * for them only.
 */

struct curl_slist;

#define FETCH_LOCATION_BYTES_MAX 16384

struct fetch {
    struct list link;
    struct fetcher *fetcher;
    struct web_call web;
    const struct fetch_hooks *hooks;
    void *context;
    int64_t connect_ms;
    int64_t stall_ms;
    char *url;       /* of this hop */
    char coding[64]; /* of its reply, the last Content-Encoding; "": none */
    struct decoder *decoder; /* of what has a coding by its label */
    size_t skip;         /* of what libcurl brings again: the decoder has it */
    int64_t bytes;       /* of the body, handed to the reader */
    int64_t error_bytes; /* of the body of a reply that is no video */
    int64_t length;
    int redirects;
    bool begun; /* a byte of a video came: the coding is known */
    bool head_told;
    bool encoded; /* in a coding that can't be undone */
    bool forbidden;
    bool reached;         /* for an address that is allowed */
    const char *shut_out; /* why another address of the host was not tried */
    bool partial;         /* a 206 that does not bring all */
    bool too_large;
    int64_t packed; /* bytes that the decoder was given */
    bool refused;   /* the reader did not want this body */
    bool cancelled;
    bool starved; /* there was no memory to follow a redirect */
    char why[160];
};

struct fetcher {
    struct loop *loop;
    struct fetcher_options options;
    struct web_client *client;
    struct curl_slist *headers;
    struct list active;
    bool closing;
};

/** The address or the URL is not allowed; false. */
bool fetch_forbid(struct fetch *fetch, const char *why);

bool fetch_allows_private(const struct fetch *fetch);

/** Bytes of a body. */
enum web_taken fetch_take(struct fetch *fetch, const char *bytes, size_t len);

/** What no byte of a body has told yet: it has ended well. */
void fetch_finish_body(struct fetch *fetch);

#endif
