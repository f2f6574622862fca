#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPTION_KEYS_MAX = 64 };

/** What GET /v1/model-schema says of idempotency keys. */
enum schema_mode {
    SCHEMA_YES,    /* that they are honoured */
    SCHEMA_NO,     /* nothing */
    SCHEMA_ABSENT, /* 404 */
    SCHEMA_LIE,    /* that they are honoured, and they are not */
};

/** A key that is accepted, and what its account has. */
struct option_key {
    struct str text;
    int64_t balance_micros; /* of its own; -1: what --balance says, shared */
    int64_t slots;          /* sales at once; 0: what --concurrency says */
};

/** `pixverse-sim api`, as ordered on the command line. */
struct options {
    char host[64];
    int port; /* 0: the system picks */
    uint64_t seed;
    int64_t latency_min_ms, latency_max_ms; /* from acceptance to the end */
    int64_t submit_min_ms, submit_max_ms;   /* before a POST is answered */
    int64_t poll_interval_ms; /* a poll later than 1.5 of it counts as late */
    const char *faults;       /* JSON or a file's name; null: none */
    struct option_key keys[OPTION_KEYS_MAX]; /* accepted; none: any */
    size_t keys_count;
    int64_t concurrency;    /* sales at once, above it they fail; 0: any */
    int64_t balance_micros; /* -1: unlimited */
    bool idempotency;       /* keys are honoured */
    int64_t retention_s;    /* of idempotency keys */
    enum schema_mode schema;
    uint64_t video_bytes_min, video_bytes_max; /* 0: as small as they come */
    int64_t url_ttl_s;
    const char *public_url; /* null: from the Host header */
};

/**
 * Read the arguments after `api`. Strings stay in argv.
 *
 * @return  false, with *err naming flag, value and what is allowed.
 */
MUST_CHECK bool options_read(struct options *options, int count, char **args,
                             struct err *err);

/** The help text of the flags. */
extern const char OPTIONS_HELP[];

#endif
