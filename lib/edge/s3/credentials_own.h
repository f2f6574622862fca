#ifndef EDGE_S3_CREDENTIALS_OWN_H
#define EDGE_S3_CREDENTIALS_OWN_H

#include "base/buf.h"
#include "base/list.h"
#include "core/aws.h"
#include "core/aws_chain.h"
#include "core/retry.h"
#include "core/sigv4.h"
#include "edge/loop.h"
#include "edge/s3/aws_files.h"
#include "edge/s3/aws_process.h"
#include "edge/web/wire.h"

/**
 * What the sources of credentials share, one file a source: source_*.c. For
 * credentials.c and them only. A source that is ours to take answers true and
 * ends, now or later, in one of source_failed(), source_found() and
 * source_fetched().
 */

/* A source is left alone so long; one that failed, longer. */
#define SOURCE_PAUSE_MS 1000

/** Steps of a fetch that ask a server. */
enum asking {
    ASKING_STS,
    ASKING_CONTAINER,
    ASKING_TOKEN,
    ASKING_ROLE,
    ASKING_KEYS
};

enum source_file {
    FILE_KEYS,      /* of the profile */
    FILE_CONFIG,    /* the same */
    FILE_IDENTITY,  /* a web identity's token */
    FILE_CONTAINER, /* the token of the container's endpoint */
    SOURCE_FILES_LEN
};

/** What stands in files, as of one fetch. */
struct source_files {
    struct credentials *credentials; /* null: closed meanwhile */
    void (*then)(struct credentials *, const struct source_files *);
    char profile[256];
    char path[SOURCE_FILES_LEN][AWS_PATH_BYTES]; /* "": none is named */
    struct buf text[SOURCE_FILES_LEN];
    int trouble[SOURCE_FILES_LEN]; /* errno; 0: it was read */
    struct aws_chain chain;        /* what the profile wants */
    struct aws_process process;    /* of a chain that ends in one */
};

/** A role that is assumed with the keys that come next, in texts of its own. */
struct source_role {
    char arn[2049];
    char external_id[1225];
    char session_name[65];
    char duration_s[8];
};

struct credentials {
    struct loop *loop;
    struct wire *wire;
    const char *whom_for;    /* "S3" */
    struct loop_timer *soon; /* tells the waiting */
    struct list waiting;
    struct aws_keys keys;
    struct sigv4_key key; /* slices of keys */
    bool have;
    uint32_t issue; /* one more with each keys that come */
    /* Times of the loop's clock: the wall clock may be wrong, and jump. */
    int64_t expires_ms; /* of the keys; 0: never */
    int64_t fetched_ms; /* 0: not yet */
    int64_t again_ms;   /* fetch again from here on; 0: never */
    int64_t failed_ms;  /* 0: the last fetch didn't fail */
    int64_t pause_ms;   /* after that */
    struct backoff backoff;
    char why[200]; /* what the last fetch failed for */
    struct wire_call *call;
    struct source_files *files; /* being read; null: none are */
    enum asking asking;
    /* What is asked next with an answer that is a word; false: it is none. */
    bool (*on_word)(struct credentials *c, struct str body);
    struct buf body; /* of the call */
    char token[256]; /* of the instance's metadata */
    struct source_role roles[AWS_ROLES_MAX];
    int roles_len; /* still to be assumed, the last one first */
    void (*assume)(struct credentials *c, struct aws_keys *keys); /* it */
    struct aws_sts sts;                                           /* where */
    char region[64];
    char endpoint[300]; /* of S3, as the profile says; "": not */
};

/* ---- sources ---- */

typedef bool source_fn(struct credentials *c, const struct source_files *files);

bool source_environment(struct credentials *c); /* needs no file */
source_fn source_web_identity;
source_fn source_profile; /* in the shared files */
source_fn source_container;
source_fn source_instance;

/** The role of a web identity, whose token has been read. */
void source_assume(struct credentials *c, const struct source_files *files,
                   const struct aws_role *role);

/** The roles of a chain, to be assumed when its keys have come; false, and it
 * has failed: one can't be read. */
bool source_plan_roles(struct credentials *c, const struct source_files *files);

/* ---- what they read ---- */

/** then() once, later, unless dropped; or source_failed(). */
void source_read(struct credentials *c,
                 void (*then)(struct credentials *,
                              const struct source_files *));
void source_read_drop(struct credentials *c);

/** A value of the profile: of the file of keys, else of the config file. */
struct str source_files_value(const struct source_files *files,
                              const char *name);

/** It failed for a file that is there; `what` can't be read. */
void source_unreadable(struct credentials *c, const char *what,
                       const struct source_files *files,
                       enum source_file which);

bool source_file_is_there(const struct source_files *files,
                          enum source_file which);

/* ---- what they ask ---- */

/** Sends c->body. Keys that are answered end the fetch; a word (ASKING_TOKEN,
 * ASKING_ROLE) goes to c->on_word(). */
void source_ask(struct credentials *c, enum asking asking, const char *method,
                const char *url, const char *header);

#define SOURCE_HEADERS_MAX 6

/** The same with several headers. */
void source_ask_as(struct credentials *c, enum asking asking,
                   const char *method, const char *url,
                   const char *const *headers, size_t headers_len);

/** One line of visible characters; a role's name, or a token. */
bool source_word(struct str body, char *out, size_t out_bytes);

/* ---- how they end ---- */

/** Whether the keys that are there no longer hold. */
bool source_is_over(const struct credentials *c);

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
