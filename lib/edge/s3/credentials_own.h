#ifndef EDGE_S3_CREDENTIALS_OWN_H
#define EDGE_S3_CREDENTIALS_OWN_H

#include "base/buf.h"
#include "core/aws.h"
#include "core/retry.h"
#include "edge/s3/credentials.h"

/**
 * What the sources of credentials share, one file a source: source_*.c. For
 * credentials.c and them only. A source that is ours to take answers true and
 * ends, now or later, in one of source_failed(), source_found() and
 * source_fetched().
 */

/** Steps of a fetch that ask a server. */
enum asking {
    ASKING_STS,
    ASKING_CONTAINER,
    ASKING_TOKEN,
    ASKING_ROLE,
    ASKING_KEYS
};

struct credentials {
    struct loop *loop;
    struct wire *wire;
    struct loop_timer *soon; /* tells the waiting */
    struct list waiting;
    struct aws_keys keys;
    struct sigv4_key key; /* slices of keys */
    bool have;
    /* Times of the loop's clock: the wall clock may be wrong, and jump. */
    int64_t expires_ms; /* of the keys; 0: never */
    int64_t fetched_ms; /* 0: not yet */
    int64_t again_ms;   /* fetch again from here on; 0: never */
    int64_t failed_ms;  /* 0: the last fetch didn't fail */
    int64_t pause_ms;   /* after that */
    struct backoff backoff;
    char why[200]; /* what the last fetch failed for */
    struct wire_call *call;
    enum asking asking;
    struct buf body; /* of the call */
    char token[256]; /* of the instance's metadata */
    char region[64];
};

/* ---- sources ---- */

bool source_environment(struct credentials *c);
bool source_web_identity(struct credentials *c);
bool source_files(struct credentials *c); /* the profile in them */
bool source_container(struct credentials *c);
bool source_instance(struct credentials *c);

/** A role of a web identity, whose token is in the file at `path`. */
void source_assume(struct credentials *c, const char *role, const char *path);

/** The instance's metadata on its roles; "": their list. With c->token. */
void source_ask_instance(struct credentials *c, enum asking asking,
                         const char *role);

/* ---- what they ask ---- */

/** Sends c->body; the answer goes on by itself. */
void source_ask(struct credentials *c, enum asking asking, const char *method,
                const char *url, const char *header);

/** One line of visible characters; a role's name, or a token. */
bool source_word(struct str body, char *out, size_t out_bytes);

/* ---- how they end ---- */

/** Keys that are there stay until they expire. */
void source_failed(struct credentials *c, const char *what, const char *why);

/** Of one's own: the environment, files. They say no end; *keys is wiped. */
void source_found(struct credentials *c, struct aws_keys *keys,
                  int64_t reread_ms);

/**
 * Of a server, whose clock says how long they live: ours may be wrong, and
 * would have them expired for ever.
 */
void source_fetched(struct credentials *c, const char *from,
                    struct aws_keys *keys, const char *date);

#endif
