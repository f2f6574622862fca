#ifndef EDGE_S3_CALL_H
#define EDGE_S3_CALL_H

#include "base/arena.h"
#include "base/list.h"
#include "core/s3_reply.h"
#include "core/s3_url.h"
#include "core/sigv4.h"
#include "edge/bucket/kind.h"
#include "edge/s3/credentials.h"
#include "edge/web/wire.h"

#include <stdint.h>

/**
 * A bucket of S3 and signed calls to it. For this room only.
 */

#define S3_PART_BYTES_MIN ((size_t)8 << 20)
#define S3_PARTS_MAX 10000
#define S3_MEMORY_BYTES ((size_t)64 << 20) /* of all parts being filled */
#define S3_PUT_BYTES_MAX (INT64_C(5) << 30)
#define S3_HEADERS_MAX 14
#define S3_KEY_BYTES_MAX 1200

/** How the bytes of a video whose length is known go up. */
enum s3_body {
    S3_FRAMED, /* in chunks, the checksum behind them */
    S3_PLAIN,  /* as they are, nothing to check them by */
    S3_HASHED, /* from a buffer, the hash in the signature */
    S3_BODIES_LEN
};

/**
 * What the store takes, by the last probe of this process (probe.c).
 * A refusal of a put's form has it found out again.
 */
struct s3_takes {
    enum s3_body body;
    bool sums;            /* x-amz-checksum-sha256 beside a hashed body */
    bool conditions;      /* If-None-Match at a PUT, and heeds it */
    bool ends_conditions; /* the same where parts are completed */
};

struct s3_put;

struct s3 {
    struct bucket base;
    struct loop *loop;
    struct arena arena; /* holds the texts below */
    struct s3_url url;
    struct s3_place place;
    const char *region;
    const char *ca_file;
    const char *site; /* scheme://host[:port] of its objects */
    char *name;
    bool secure; /* https */
    struct s3_takes takes;
    struct s3_probe *probing; /* null: no probe is under way */
    struct list learners;     /* puts that wait for its end */
    /* Has it probed for a put: s3_put_learnt() follows. */
    void (*learn)(struct s3_put *put);
    int odd;        /* refusals in a row that a probe can't explain */
    int broken_off; /* puts in a row without an answer */
    int64_t bytes_max;
    int64_t skew_ms; /* the store's clock is ahead of ours by so much */
    struct wire *wire;
    struct credentials *credentials;
    struct list calls; /* every one that is under way */

    int puts_max;
    int puts; /* under way */
    int pace; /* puts that the store takes at once, as far as we know */
    int64_t slowed_ms;

    size_t part_bytes;
    int parts_free;           /* buffers that may still be taken */
    struct list parts_wanted; /* puts that wait for one */

    struct list sweeps; /* under way, or to be tried again */
    int forgets;        /* those of single keys */
    bool sweeping;      /* one of all keys is among them */
    unsigned probes;    /* names tried so far */
    uint32_t probe_random;
    int64_t probes_swept_ms; /* loop_boot_ms(); 0: never */
};

/** A question to the store. */
struct s3_ask {
    const char *method;
    struct str key;   /* with the prefix; absent: the bucket itself */
    struct str query; /* encoded */
    struct sigv4_header headers[S3_HEADERS_MAX]; /* besides those of all */
    size_t headers_len;
    const char *payload; /* a word of sigv4.h; null: the body is hashed */
    struct str body;     /* lives until the end */
    wire_source_fn *source;
    int64_t source_bytes;
    wire_sink_fn *sink;
    struct sigv4_chain *chain; /* begun before the source is asked; or null */
    bool half; /* a part of it could not be made: it must not go */
};

struct s3_end {
    enum s3_verdict verdict;
    bool lost; /* no whole answer came: what was done, who knows */
    bool ours; /* lost by us, for want of memory: the store may be well */
    bool form; /* as in s3_reply */
    /* clock or credentials were wrong and no longer are: the same again will
     * do */
    bool mended;
    int status;
    struct str body; /* until the callback returns */
    const char *etag;
    const char *length; /* Content-Length; "": none */
    char why[200];      /* for verdicts other than done */
};

typedef void s3_end_fn(void *context, const struct s3_end *end);

struct s3_call;

/**
 * Sign and send, when there are credentials. What a wrong clock or old
 * credentials spoil is sent once more, unless its body streams.
 *
 * @param ask     Copied, but for the body.
 * @param on_end  Exactly once, after this has returned, unless dropped.
 * @return        null: no memory, or the ask is half of one.
 */
struct s3_call *s3_send(struct s3 *s3, const struct s3_ask *ask,
                        s3_end_fn *on_end, void *context);
void s3_more(struct s3_call *call); /* the source has more */
void s3_drop(struct s3_call *call); /* as wire_drop(); null is accepted */

/** Sets what was built in a buffer, which lives on; one that failed makes the
 * ask one that is not sent: without its end, a query names another thing. */
void s3_ask_query(struct s3_ask *ask, const struct buf *query);
void s3_ask_body(struct s3_ask *ask, const struct buf *body);

/** Adds a header; an absent or empty value adds none. */
void s3_ask_header(struct s3_ask *ask, const char *name, struct str value);

/** Adds what every new object is given: type, encryption, class, tags. */
void s3_ask_object(const struct s3 *s3, struct s3_ask *ask);

/** Only where nothing is. */
void s3_ask_condition(struct s3_ask *ask);

/** The time as the store has it. */
int64_t s3_wall_ms(const struct s3 *s3);

/** The prefix and a key, into `out`; cut if too long. */
struct str s3_key(const struct s3 *s3, struct str key, char *out,
                  size_t out_bytes);

/** What a verdict means for a put, a check or a probe. */
enum bucket_end s3_bucket_end(enum s3_verdict verdict);

/** The same of an end after which nothing else is tried: a store that could not
 * be reached is unusable. */
enum bucket_end s3_last_end(const struct s3_end *end);

/** Fewer puts at once for a while, or one more again. */
void s3_slow_down(struct s3 *s3);
void s3_speed_up(struct s3 *s3);

/** How the names of probes' objects begin, below the prefix. */
#define S3_PROBE ".pixverse-worker/probe-"

/** Whether a key, without the prefix, is one that a probe makes. */
bool s3_is_probe(struct str key);

#endif
