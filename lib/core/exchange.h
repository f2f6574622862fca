#ifndef CORE_EXCHANGE_H
#define CORE_EXCHANGE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/** A question to an HTTP server, as data. */
struct exchange {
    enum { EXCHANGE_GET, EXCHANGE_POST } method;
    struct str url;
    struct str idempotency_key; /* absent: no such header */
    struct str body;            /* POST: application/json */
    struct str bearer;          /* the API key; absent: no Authorization */
};

/** How it ended. */
enum reply_end {
    REPLY_WHOLE,      /* a status and the whole body arrived */
    REPLY_UNRESOLVED, /* DNS */
    REPLY_UNREACHED,  /* no connection */
    REPLY_UNTRUSTED,  /* the server's certificate */
    REPLY_TIMED_OUT,
    REPLY_BROKEN,    /* the connection or the protocol broke */
    REPLY_TOO_LARGE, /* the body is over the limit */
    REPLY_CANCELLED, /* we ended it */
};

/** The answer. Slices live until the callback that brings it returns. */
struct reply {
    enum reply_end end;
    bool sent;               /* may_send() said yes: a byte may have left */
    int status;              /* 0: none arrived */
    struct str body;         /* at most 1 MiB */
    struct str retry_after;  /* the header's text, absent: none */
    struct str content_type; /* absent: none */
    bool replayed;           /* Idempotency-Replayed: true */
    /* Words for an end other than whole; or why the body of a refusal can't be
     * read. */
    char why[160];
};

const char *reply_end_name(enum reply_end end);

#endif
