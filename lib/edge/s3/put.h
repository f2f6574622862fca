#ifndef EDGE_S3_PUT_H
#define EDGE_S3_PUT_H

#include "base/buf.h"
#include "edge/s3/call.h"
#include "edge/s3/fifo.h"

/**
 * One object on its way: what was written and how it ends, whichever way it
 * goes up (stream.h, parts.h; begin.h chooses). For this room only.
 */

#define S3_CHUNK_BYTES ((size_t)64 << 10)
#define S3_ROOM_BYTES ((size_t)64 << 10) /* wait unsent: more, please */
#define S3_UPLOAD_ID_BYTES 1024

struct s3_part {
    char etag[80];
    char checksum[45]; /* base64; "": none */
};

/** How a probe has a put done, and what it learns of it besides the result. */
struct s3_how {
    struct s3_takes takes;
    bool parts;  /* in parts, however small */
    bool form;   /* out: ended by a refusal of its form */
    bool mended; /* out: as in s3_end */
    bool lost;   /* out: the same */
    bool ours;   /* out: the same, or it ended for want of memory */
};

/** A way up. */
struct s3_way {
    bool (*begin)(struct s3_put *put); /* false: no memory */
    /** Whether there is room for more bytes. */
    bool (*has_room)(const struct s3_put *put);
    /** Bytes came, or the last ones did. */
    void (*on_more)(struct s3_put *put);
    /** What to do next; from the loop only. It may end the put. */
    void (*turn)(struct s3_put *put);
    /** Gives back what it holds; the put ends. Null: it holds nothing. */
    void (*done)(struct s3_put *put);
};

struct s3_put {
    struct put base;
    struct s3 *s3;
    const struct s3_way *way;
    loop_fn *on_ready;
    bucket_fn *on_end;
    void *context;
    struct s3_takes takes; /* when it was begun */
    struct s3_how *how;    /* a probe's; null: nobody's */
    struct list learning;  /* in s3->learners */
    bool form;             /* a refusal of its form ended it, as it seems */
    bool odd;              /* and it was said so */
    bool ours; /* what it waits to end for says nothing of the store */
    char key_text[S3_KEY_BYTES_MAX];
    struct str key;
    int64_t announced; /* bytes; -1: unknown */
    int64_t taken;     /* bytes handed to us */
    struct s3_fifo fifo;
    struct loop_timer *soon; /* what must not happen within a write */
    struct s3_call *call;    /* the one under way; null: none */
    bool finishing;
    bool cancelled;
    bool said_no;        /* on_ready is owed */
    const char *refused; /* by us; null: not */
    char sha256[65];
    char checksum[45]; /* the same in base64 */

    /* One PUT */
    struct sigv4_chain chain;
    size_t chunk_left; /* data of the current chunk, not sent yet */
    int64_t sent;      /* data in chunks that were begun */
    bool trailed;      /* the end of the chunks is in the frame */
    char frame[400];   /* what stands between data */
    size_t frame_at;
    size_t frame_len;

    /* Parts */
    bool limited;     /* to VIDEO_MAX_BYTES: not what the probe writes */
    struct list want; /* in s3->parts_wanted */
    char *part;       /* null: no buffer yet */
    size_t part_len;
    struct s3_part *parts; /* uploaded */
    size_t parts_len;
    size_t parts_size;
    char upload_id[S3_UPLOAD_ID_BYTES]; /* "": no upload */
    bool creating;       /* the call under way makes the upload */
    int64_t again_ms;    /* loop's clock: no call before; 0: at once */
    int tries;           /* of the call that failed last */
    bool looked;         /* nothing is there, as far as one can see */
    struct buf list;     /* of parts, while they are completed */
    enum bucket_end end; /* kept until the upload is aborted */
    char why[200];
};

/** What its timer calls: room is told of, and its way goes on. */
void s3_put_turn(void *put);

/** Frees; no end is told. */
void s3_put_drop(struct s3_put *put);

/** The end of a probe for it: what the store takes is known again, or it takes
 * nothing. */
void s3_put_learnt(struct s3_put *put, const struct bucket_result *probed);

/** What is told of the answer that ends a put. */
void s3_put_note(struct s3_put *put, const struct s3_end *end);

/** It ends for want of our memory, which says nothing of the store. */
void s3_put_starves(struct s3_put *put);

/** Tells the end and frees; not from within a write. Where the form of the put
 * was refused, the store is probed first. */
void s3_put_end(struct s3_put *put, enum bucket_end end, const char *why);

/** After an answer that never came (a server that refuses a body early may
 * break off before one has read why): is it there? Ends the put. */
void s3_put_look(struct s3_put *put, const char *why);

/** Sends the question whether it is there; false: no memory. */
bool s3_put_ask(struct s3_put *put, s3_end_fn *on_end);

/* Of struct bucket_kind. */

bool s3_put_write(struct put *base, const char *bytes, size_t len);
void s3_put_finish(struct put *base, const char *sha256);
void s3_put_cancel(struct put *base);

#endif
