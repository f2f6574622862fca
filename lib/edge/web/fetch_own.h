#ifndef EDGE_WEB_FETCH_OWN_H
#define EDGE_WEB_FETCH_OWN_H

#include "base/buf.h"
#include "base/list.h"
#include "core/rate.h"
#include "edge/web/decode.h"
#include "edge/fetch.h"
#include "edge/web/multi.h"

/**
 * A download as fetch.c (its life) and fetch_reply.c (what comes) both see it;
 * for them only.
 */

struct curl_slist;

#define FETCH_LOCATION_BYTES_MAX 16384
#define FETCH_ERROR_BYTES 256 /* libcurl's CURL_ERROR_SIZE */

struct fetch {
    struct list link;
    struct fetcher *fetcher;
    void *easy; /* libcurl's */
    struct loop_timer *stall;
    const struct fetch_hooks *hooks;
    void *context;
    int64_t stall_ms;
    int64_t last_ms; /* boot clock of the last byte, or of the pause's end */
    struct rate rate;
    char *url;       /* of this hop */
    struct buf location; /* of its reply; empty: none */
    char coding[64]; /* its Content-Encoding, the last one; "": none */
    char range[96];  /* its Content-Range; "": none */
    struct decoder *decoder; /* of what has a coding by its label */
    size_t skip;     /* of what libcurl brings again: the decoder has it */
    int64_t bytes;   /* of the body, handed to the reader */
    int64_t error_bytes; /* of the body of a reply that is no video */
    int64_t length;
    int redirects;
    bool head_told;
    bool encoded; /* in a coding that can't be undone */
    bool pause;   /* the reader wants no more for now */
    bool paused;  /* libcurl was told so */
    bool resume;  /* to be told that it goes on */
    bool forbidden;
    bool reached;         /* for an address that is allowed */
    const char *shut_out; /* why another address of the host was not tried */
    bool partial;         /* a 206 that does not bring all */
    bool far;             /* a Location that is too long */
    bool too_large;
    bool refused; /* the reader did not want this body */
    bool cancelled;
    bool stalled;
    bool slow;
    bool starved; /* there was no memory to follow a redirect */
    int64_t retry_after_ms;
    char why[160];
    char error[FETCH_ERROR_BYTES];
};

struct fetcher {
    struct loop *loop;
    struct fetcher_options options;
    char *ca_file;
    struct loop_curl *curl;
    struct curl_slist *headers;
    struct list active;
    struct loop_timer *soon; /* resumes and cancels, outside libcurl */
    bool closing;
};

/** The address or the URL is not allowed; false. */
bool fetch_forbid(struct fetch *fetch, const char *why);

bool fetch_allows_private(const struct fetch *fetch);

/** HTTP's, of the last reply; 0: none. */
int fetch_status(const struct fetch *fetch);

/** Points the handle's callbacks at the fetch. */
void fetch_listen(struct fetch *fetch);

/** Forgets what an earlier reply said: one of another hop, or informational. */
void fetch_begin_reply(struct fetch *fetch);

/** What no byte of a body has told yet: it has ended well. */
void fetch_finish_body(struct fetch *fetch, int status);

#endif
