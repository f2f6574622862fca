#include "edge/s3/probe.h"

#include "base/crashpoint.h"
#include "base/must.h"
#include "core/digest.h"
#include "edge/s3/begin.h"
#include "edge/s3/stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES (S3_CHUNK_BYTES + 4000) /* more than one chunk */
#define TRIES 2   /* of each form: one odd answer decides nothing */
#define ODD_MAX 2 /* refusals that no probe explains, until another form */

/*
 * A probe goes the very way of a video: an object of our own is put, put again
 * (which must not work), read back, compared and deleted; once as a video of a
 * known length goes, once as a small one of an unknown length, once in parts.
 * Where the store refuses a form, or gives back other bytes, the next poorer
 * form is tried; what is found is how videos go from then on. Each probe begins
 * with the best form again. Where deleting is forbidden, its objects stay.
 */
enum stage { STAGE_KNOWN, STAGE_SMALL, STAGE_PARTS, STAGES_LEN };

enum came { CAME_GOOD, CAME_REFUSED, CAME_FAILED, CAME_STARVED };

struct waiter {
    struct list link;
    bucket_fn *on_result;
    void *context;
};

struct s3_probe {
    struct s3 *s3;
    struct list waiters; /* besides the learners */
    enum stage stage;
    int form;              /* of the stage: the n-th best */
    int tries;             /* of this form */
    struct s3_takes takes; /* found so far */
    struct s3_how how;     /* of the put under way */
    bool second;           /* it is put again */
    bool stored;           /* something of it may be there */
    bool replaced;         /* the condition is ignored */
    bool ends_replaced;    /* where parts are completed */
    enum came came;
    char why[200];         /* of the last that wasn't good */
    char first_why[200];   /* of the first refusal of all */
    char unknown_why[120]; /* of an unknown length none goes; "": it does */
    bool small_goes;       /* a small one does */
    char key_text[S3_KEY_BYTES_MAX];
    struct str key;
    char sha256[DIGEST_HEX_BYTES];
    char *body;            /* BODY_BYTES */
    struct put *put;       /* under way; null: none */
    struct s3_call *call;  /* the same */
    struct digest *digest; /* of what is read back */
};

struct s3_takes s3_takes_at_best(const struct s3 *s3)
{
    const bool sums = s3->url.checksum;
    return (struct s3_takes){
        .body = sums ? S3_FRAMED : S3_PLAIN,
        .sums = sums,
        .conditions = true,
        .ends_conditions = true,
    };
}

/* ---- forms ---- */

/** The n-th best form of a video of a known length. False: there is none. */
static bool form_known(int n, struct s3_takes *takes)
{
    const int bodies = S3_BODIES_LEN - (int)takes->body;
    if (n < 2 * bodies) { /* first it is the body that is in the way */
        takes->conditions = n < bodies;
        takes->body = (enum s3_body)((int)takes->body + n % bodies);
        return true;
    }
    const bool sums = takes->sums;
    takes->body = S3_HASHED;
    takes->sums = false;
    takes->conditions = n == 2 * bodies;
    return sums && n < 2 * bodies + 2;
}

static bool form_small(int n, struct s3_takes *takes)
{
    const bool sums = takes->sums;
    takes->sums = sums && n == 0;
    return n == 0 || (n == 1 && sums);
}

static bool form_parts(int n, struct s3_takes *takes)
{
    const int sums = takes->sums ? 2 : 1;
    takes->sums = takes->sums && n % 2 == 0;
    takes->ends_conditions = n < sums;
    return n < 2 * sums;
}

static bool form_of(const struct s3_probe *probe, struct s3_takes *takes)
{
    *takes = probe->takes;
    switch (probe->stage) {
    case STAGE_KNOWN:
        return form_known(probe->form, takes);
    case STAGE_SMALL:
        return form_small(probe->form, takes);
    case STAGE_PARTS:
        return form_parts(probe->form, takes);
    case STAGES_LEN:
        break;
    }
    return false;
}

/** This form does: it is how such videos go. */
static void take_form(struct s3_probe *probe)
{
    const struct s3_takes form = probe->how.takes;
    probe->takes.sums = form.sums;
    if (probe->stage == STAGE_KNOWN) {
        probe->takes.body = form.body;
        probe->takes.conditions = form.conditions && !probe->replaced;
    } else if (probe->stage == STAGE_PARTS) {
        probe->takes.ends_conditions =
            form.ends_conditions && !probe->ends_replaced;
    }
}

static bool is_conditional(const struct s3_probe *probe)
{
    return probe->stage == STAGE_PARTS ? probe->how.takes.ends_conditions
                                       : probe->how.takes.conditions;
}

/* ---- what was found ---- */

static bool is_same(const struct s3_takes *a, const struct s3_takes *b)
{
    return a->body == b->body && a->sums == b->sums &&
           a->conditions == b->conditions &&
           a->ends_conditions == b->ends_conditions;
}

/** What the store doesn't take, in words; "": it takes all. */
static void say_takes(const struct s3_probe *probe, char *out, size_t out_bytes)
{
    static const char *const bodies[] = {
        [S3_FRAMED] = "",
        [S3_PLAIN] = "no body in frames with a checksum behind it, videos go "
                     "up without; ",
        [S3_HASHED] = "no body that isn't signed, videos go up from a "
                      "buffer; ",
    };
    const struct s3_takes best = s3_takes_at_best(probe->s3);
    const struct s3_takes *takes = &probe->takes;
    const bool guarded = takes->conditions && takes->ends_conditions;
    const bool ignored = probe->replaced || probe->ends_replaced;
    struct buf words;
    buf_init(&words, 0);
    if (!guarded) {
        buf_printf(&words,
                   "the store %s If-None-Match%s: a video that is there is "
                   "kept by looking first only; ",
                   ignored ? "ignores" : "refuses",
                   takes->conditions ? " for uploads in parts" : "");
    }
    if (takes->body != best.body || takes->sums != best.sums) {
        buf_printf(&words, "the store takes %s%s",
                   takes->body != best.body ? bodies[takes->body] : "",
                   takes->sums != best.sums ? "no checksum; " : "");
    }
    if (probe->unknown_why[0]) {
        buf_printf(&words,
                   "no video that comes without its length%s can be "
                   "stored: %s; ",
                   probe->small_goes ? " and is over 8 MiB" : "",
                   probe->unknown_why);
    } else if (probe->first_why[0] && words.len) {
        buf_printf(&words, "%s; ", probe->first_why);
    }
    struct str text = buf_str(&words);
    text.len -= text.len > 2 ? 2 : text.len;
    snprintf(out, out_bytes, "%.*s", (int)text.len, text.at ? text.at : "");
    buf_done(&words);
}

/** What refuses videos though it took the probe's object gets a poorer form. */
static void step_down(struct s3 *s3, const struct s3_put *put)
{
    assert(s3->takes.body < S3_BODIES_LEN);
    s3->odd = 0;
    if (put->way == &s3_stream && s3->takes.body < S3_HASHED) {
        s3->takes.body++;
    } else if (s3->takes.sums) {
        s3->takes.sums = false;
    } else {
        s3->takes.conditions = false;
        s3->takes.ends_conditions = false;
    }
}

static void note_odd(struct s3 *s3)
{
    for (struct list *at = s3->learners.next; at != &s3->learners;
         at = at->next) {
        const struct s3_put *put = LIST_OWNER(at, struct s3_put, learning);
        if (put->odd && is_same(&put->takes, &s3->takes)) {
            if (++s3->odd >= ODD_MAX) {
                step_down(s3, put);
            }
            return; /* what they were told in one moment counts once */
        }
    }
}

static void probe_free(struct s3_probe *probe)
{
    digest_free(probe->digest);
    free(probe->body);
    must_free(probe);
}

static void probe_over(struct s3_probe *probe, enum bucket_end end,
                       const char *why)
{
    struct s3 *s3 = probe->s3;
    struct bucket_result result = {.end = end};
    s3->probing = NULL;
    if (end == BUCKET_DONE) {
        s3->takes = probe->takes;
        s3->broken_off = 0;
        say_takes(probe, result.why, sizeof result.why);
        note_odd(s3);
    } else {
        snprintf(result.why, sizeof result.why, "%s", why);
    }
    struct list *link;
    while ((link = list_pop(&s3->learners))) {
        s3_put_learnt(LIST_OWNER(link, struct s3_put, learning), &result);
    }
    while ((link = list_pop(&probe->waiters))) {
        struct waiter *waiter = LIST_OWNER(link, struct waiter, link);
        bucket_fn *on_result = waiter->on_result;
        void *context = waiter->context;
        must_free(waiter);
        on_result(context, &result);
    }
    probe_free(probe);
}

/** It says nothing of the store, and nobody is told that it does. */
static void no_memory(struct s3_probe *probe)
{
    probe_over(probe, BUCKET_FAILED, "no memory for a probe");
}

/* ---- one try ---- */

static void try_form(struct s3_probe *probe);

static void next_stage(struct s3_probe *probe)
{
    assert(probe->stage < STAGES_LEN);
    probe->stage++;
    if (probe->stage == STAGE_SMALL && probe->takes.body == S3_HASHED) {
        probe->stage++; /* that was it */
    }
    probe->form = 0;
    probe->tries = 0;
    if (probe->stage == STAGES_LEN) {
        probe_over(probe, BUCKET_DONE, "");
    } else {
        try_form(probe);
    }
}

static void stage_failed(struct s3_probe *probe, const char *why)
{
    assert(probe->stage < STAGES_LEN && why[0]);
    if (probe->stage == STAGE_KNOWN) { /* where that fails, so does all */
        probe_over(probe, BUCKET_UNUSABLE, why);
        return;
    }
    if (!probe->unknown_why[0]) {
        probe->small_goes = probe->stage != STAGE_SMALL;
        snprintf(probe->unknown_why, sizeof probe->unknown_why, "%.100s", why);
    }
    next_stage(probe);
}

static void try_over(struct s3_probe *probe)
{
    struct s3_takes form;
    switch (probe->came) {
    case CAME_GOOD:
        take_form(probe);
        next_stage(probe);
        return;
    case CAME_FAILED: /* the first refusal says the most */
        stage_failed(probe, probe->stage == STAGE_KNOWN && probe->first_why[0]
                                ? probe->first_why
                                : probe->why);
        return;
    case CAME_STARVED:
        no_memory(probe);
        return;
    case CAME_REFUSED:
        break;
    }
    if (!probe->first_why[0]) {
        snprintf(probe->first_why, sizeof probe->first_why, "%s", probe->why);
    }
    if (probe->tries >= TRIES) {
        probe->tries = 0;
        probe->form++;
    }
    if (form_of(probe, &form)) {
        try_form(probe);
    } else {
        stage_failed(probe, probe->stage == STAGE_KNOWN ? probe->first_why
                                                        : probe->why);
    }
}

static void on_deleted(void *context, const struct s3_end *end)
{
    struct s3_probe *probe = context;
    assert(probe->call);
    (void)end; /* a policy may forbid it: putting is all that is needed */
    probe->call = NULL;
    try_over(probe);
}

static void on_nothing_stored(void *context)
{
    try_over(context);
}

/** Removes what was put, then goes on. */
static void try_ends(struct s3_probe *probe, enum came came, const char *why)
{
    probe->came = came;
    snprintf(probe->why, sizeof probe->why, "%.*s", (int)sizeof probe->why - 1,
             why);
    if (!probe->stored) {
        loop_defer(probe->s3->loop, on_nothing_stored, probe);
        return;
    }
    const struct s3_ask ask = {.method = "DELETE", .key = probe->key};
    probe->call = s3_send(probe->s3, &ask, on_deleted, probe);
    if (!probe->call) {
        no_memory(probe);
    }
}

static void on_piece(void *context, const char *bytes, size_t len)
{
    struct s3_probe *probe = context;
    digest_add(probe->digest, bytes, len);
}

static void on_read_back(void *context, const struct s3_end *end)
{
    struct s3_probe *probe = context;
    assert(probe->call);
    unsigned char sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    char why[200];
    probe->call = NULL;
    digest_end(probe->digest, sum);
    str_hex(sum, sizeof sum, hex);
    if (end->ours) {
        try_ends(probe, CAME_STARVED, end->why);
    } else if (end->verdict != S3_DONE) {
        snprintf(why, sizeof why, "what was written can't be read back: %.150s",
                 end->why);
        try_ends(probe, CAME_FAILED, why);
    } else if (strcmp(hex, probe->sha256) != 0) {
        try_ends(probe, CAME_REFUSED,
                 "the store gives back other bytes than it was given");
    } else {
        try_ends(probe, CAME_GOOD, "");
    }
}

static void read_back(struct s3_probe *probe)
{
    assert(!probe->put && !probe->call);
    const struct s3_ask ask = {
        .method = "GET", .key = probe->key, .sink = on_piece};
    probe->call = s3_send(probe->s3, &ask, on_read_back, probe);
    if (!probe->call) {
        no_memory(probe);
    }
}

static void put_body(struct s3_probe *probe);

static void on_put(void *context, const struct bucket_result *result)
{
    struct s3_probe *probe = context;
    assert(probe->put);
    probe->put = NULL;
    const bool stored =
        result->end == BUCKET_DONE || result->end == BUCKET_EXISTS;
    probe->stored |= stored || probe->how.lost;
    CRASHPOINT_IF(stored, "s3_probe_stored");
    if (!stored && probe->how.ours) {
        try_ends(probe, CAME_STARVED, result->why);
        return;
    }
    if (!stored) {
        /* Broken off by a store that answers all else: it may not want to read
         * that. And a streamed body doesn't go again by itself when the clock
         * or the credentials were wrong. */
        const bool refused = probe->how.form ||
                             (probe->how.lost && result->end == BUCKET_FAILED);
        const bool again = refused || probe->how.mended;
        const bool twice = probe->tries >= TRIES && !refused;
        try_ends(probe, again && !twice ? CAME_REFUSED : CAME_FAILED,
                 result->why);
        return;
    }
    if (!probe->second && is_conditional(probe)) {
        probe->second = true;
        put_body(probe);
        return;
    }
    if (probe->second && result->end == BUCKET_DONE) {
        probe->replaced |= probe->stage != STAGE_PARTS;
        probe->ends_replaced |= probe->stage == STAGE_PARTS;
    }
    read_back(probe);
}

static void on_ready(void *context)
{
    (void)context; /* it was all written at once */
}

static void put_body(struct s3_probe *probe)
{
    assert(!probe->put && !probe->call);
    struct err err = {0};
    const int64_t bytes =
        probe->stage == STAGE_KNOWN ? (int64_t)BODY_BYTES : -1;
    probe->put = s3_put_as(probe->s3, probe->key, bytes, &probe->how, on_ready,
                           on_put, probe, &err);
    if (!probe->put) {
        no_memory(probe);
        return;
    }
    s3_put_write(probe->put, probe->body, BODY_BYTES);
    s3_put_finish(probe->put, probe->sha256);
}

static void try_form(struct s3_probe *probe)
{
    struct s3 *s3 = probe->s3;
    struct s3_takes form;
    const bool there_is = form_of(probe, &form);
    assert(there_is);
    probe->how =
        (struct s3_how){.takes = form, .parts = probe->stage == STAGE_PARTS};
    probe->second = false;
    probe->stored = false;
    probe->tries++;
    /* Nothing is there under a new name, whatever could not be deleted. */
    char name[64];
    snprintf(name, sizeof name, S3_PROBE "%08x-%u", s3->probe_random,
             ++s3->probes);
    probe->key =
        s3_key(s3, str_of(name), probe->key_text, sizeof probe->key_text);
    put_body(probe);
}

/* ---- begin ---- */

static void on_begin(void *context)
{
    struct s3_probe *probe = context;
    unsigned char sum[DIGEST_BYTES];
    probe->body = malloc(BODY_BYTES);
    probe->digest = digest_new();
    if (!probe->body || !probe->digest) {
        no_memory(probe);
        return;
    }
    for (size_t i = 0; i < BODY_BYTES; i++) {
        probe->body[i] = (char)(i * 7 + i / 1000);
    }
    digest_of((struct str){probe->body, BODY_BYTES}, sum);
    str_hex(sum, sizeof sum, probe->sha256);
    try_form(probe);
}

static struct s3_probe *probe_of(struct s3 *s3)
{
    if (s3->probing) {
        return s3->probing;
    }
    struct s3_probe *probe = MUST_NEW(struct s3_probe);
    *probe = (struct s3_probe){.s3 = s3, .takes = s3_takes_at_best(s3)};
    list_init(&probe->waiters);
    s3->probing = probe;
    loop_defer(s3->loop, on_begin, probe);
    return probe;
}

void s3_probe(struct bucket *base, bucket_fn *on_result, void *context)
{
    assert(on_result);
    struct s3_probe *probe = probe_of((struct s3 *)(void *)base);
    struct waiter *waiter = MUST_NEW(struct waiter);
    *waiter = (struct waiter){.on_result = on_result, .context = context};
    list_init(&waiter->link);
    list_add_tail(&probe->waiters, &waiter->link);
}

void s3_learn(struct s3_put *put)
{
    (void)probe_of(put->s3);
    assert(!put->how);
    list_add_tail(&put->s3->learners, &put->learning);
}

void s3_probe_end(struct s3 *s3)
{
    struct s3_probe *probe = s3->probing;
    struct list *link;
    if (!probe) {
        return;
    }
    loop_undefer(s3->loop, on_begin, probe);
    loop_undefer(s3->loop, on_nothing_stored, probe);
    s3_drop(probe->call);
    if (probe->put) {
        s3_put_drop((struct s3_put *)(void *)probe->put);
    }
    while ((link = list_pop(&probe->waiters))) {
        must_free(LIST_OWNER(link, struct waiter, link));
    }
    s3->probing = NULL;
    probe_free(probe);
}
