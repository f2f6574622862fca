#include "flow/stage.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/asset.h"
#include "core/digest.h"
#include "core/video.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 10000
#define STALL_MS 30000

/*
 * All videos of one result, one after the other: fetched, hashed and checked
 * while they stream into storage, made visible in one step. What was stored
 * before a crash is found there, checked and adopted.
 *
 * A transfer outlives its job when the lease is lost; its ends are then
 * nobody's.
 */
struct transfer {
    struct stage *stage;
    struct job_ref ref;
    struct arena arena;
    struct asset *assets;
    size_t assets_len;
    struct stored_video *videos; /* assets_len of them */
    size_t at;                   /* the one under way */
    struct str key;
    struct fetch *fetch; /* null: not fetching */
    struct put *put;     /* null: not storing */
    struct digest *digest;
    struct video_check check;
    bool again;          /* nothing proves the end: fetched again, to compare */
    int64_t first_bytes; /* what came the first time, and its hash: sha256 */
    struct fetch_end fetch_end; /* how the body ended, kept for put's end */
    char sha256[DIGEST_HEX_BYTES];
    struct media media; /* of what is being put */
    bool whole;         /* fetched and good: the put is being finished */
    bool found;         /* storage has something under the name: it is read */
    bool cancelled;
    bool resume_later;  /* the fetch is paused until the put has room */
    struct outcome end; /* what to say when the put is gone */
    bool has_end;
};

static void next_video(void *context);

/* ---- ends ---- */

static void finish(struct transfer *t, const struct outcome *outcome)
{
    struct stage *stage = t->stage;
    struct job *job = jobs_get(stage->jobs, t->ref);
    assert(!t->fetch && !t->put);
    gate_leave(stage->gate, SLOT_TRANSFER);
    if (job) {
        job->effect->stage = NULL;
        stage->hooks->on_hold(stage->context, "", outcome->hold,
                              outcome->message);
        stage_outcome(stage, job, outcome);
    }
    digest_free(t->digest);
    video_check_done(&t->check);
    arena_done(&t->arena);
    free(t);
}

static void finish_with(struct transfer *t, enum outcome_kind kind,
                        enum hold_reason hold, const char *why)
{
    assert(why);
    char *message = arena_copy(&t->arena, why, strlen(why));
    const struct outcome outcome = {
        .kind = kind,
        .hold = hold,
        .message = str_of(message ? message : "no memory"),
    };
    finish(t, &outcome);
}

/** Remember what to say, and say it once the put is gone. */
static void end_after_put(struct transfer *t, enum outcome_kind kind,
                          const char *why, int http_status)
{
    assert(why && !t->fetch);
    if (!t->has_end) {
        char *message = arena_copy(&t->arena, why, strlen(why));
        t->has_end = true;
        t->end = (struct outcome){
            .kind = kind,
            .message = str_of(message),
            .http_status = http_status,
            .retry_after_ms = t->fetch_end.retry_after_ms_hint,
            .hash = str_of(t->sha256[0] ? t->sha256 : "none"),
        };
    }
    if (t->put) {
        put_cancel(t->put);
    } else {
        finish(t, &t->end);
    }
}

static void all_stored(struct transfer *t)
{
    assert(t->at == t->assets_len && !t->fetch && !t->put);
    const struct outcome outcome = {
        .kind = OUTCOME_STORED,
        .videos = t->videos,
        .videos_len = t->assets_len,
        .stored_ms = clock_now_ms(t->stage->clock),
    };
    CRASHPOINT("transfer_stored");
    finish(t, &outcome);
}

static void video_stored(struct transfer *t, int64_t bytes, const char *sha256,
                         const struct media *media)
{
    assert(t->at < t->assets_len && !t->put);
    struct stored_video *video = &t->videos[t->at];
    char uri[4096];
    bucket_uri(t->stage->edges->bucket, t->key, uri, sizeof uri);
    char *copy = arena_copy(&t->arena, uri, strlen(uri));
    if (!copy) {
        finish_with(t, OUTCOME_FETCH_FAILED, HOLD_NONE, "no memory");
        return;
    }
    video->uri = str_of(copy);
    video->bytes = bytes;
    memcpy(video->sha256, sha256, sizeof video->sha256);
    video->media = *media;
    t->at++;
    if (t->at == t->assets_len) {
        all_stored(t);
    } else {
        next_video(t);
    }
}

/* ---- what is there already ---- */

static void on_found(void *context, const struct bucket_result *result)
{
    struct transfer *t = context;
    assert(!t->fetch && !t->put);
    switch (result->end) {
    case BUCKET_DONE:
        if (result->fault) {
            finish_with(t, OUTCOME_STORE_FAILED, HOLD_NONE,
                        "something that is no whole video is already stored "
                        "under its name; remove it");
            return;
        }
        video_stored(t, result->bytes, result->sha256, &result->media);
        return;
    case BUCKET_UNUSABLE:
        finish_with(t, OUTCOME_STORE_FAILED, HOLD_STORAGE, result->why);
        return;
    case BUCKET_EXISTS:
    case BUCKET_MISSING:
    case BUCKET_FAILED:
    case BUCKET_CANCELLED:
        finish_with(t, OUTCOME_FETCH_FAILED, HOLD_NONE,
                    result->why[0] ? result->why : "it went away");
        return;
    }
}

/* ---- the put ---- */

static void on_put_ready(void *context)
{
    struct transfer *t = context;
    if (t->fetch && t->resume_later) {
        t->resume_later = false;
        fetch_resume(t->fetch);
    }
}

static void on_put_end(void *context, const struct bucket_result *result)
{
    struct transfer *t = context;
    assert(t->put);
    t->put = NULL;
    if (t->fetch && result->end == BUCKET_EXISTS) {
        /* A store may look before it reads: no need for the rest either. */
        t->found = true;
        fetch_cancel(t->fetch);
        return;
    }
    if (t->fetch) {
        /* Storage gave up in mid-stream: the fetch goes first. */
        char *why = arena_copy(&t->arena, result->why, strlen(result->why));
        t->has_end = true;
        t->end = (struct outcome){
            .kind = OUTCOME_STORE_FAILED,
            .hold = result->end == BUCKET_UNUSABLE ? HOLD_STORAGE : HOLD_NONE,
            .message = str_of(why),
        };
        fetch_cancel(t->fetch);
        return;
    }
    if (t->has_end) {
        finish(t, &t->end);
        return;
    }
    switch (result->end) {
    case BUCKET_DONE:
        if (result->nearly_full) { /* what is paid goes on, nothing is bought */
            t->stage->hooks->on_hold(t->stage->context, "", HOLD_STORAGE,
                                     str_of(result->why));
        }
        video_stored(t, t->fetch_end.bytes, t->sha256, &t->media);
        return;
    case BUCKET_EXISTS:
        bucket_check(t->stage->edges->bucket, t->key, on_found, t);
        return;
    case BUCKET_UNUSABLE:
        finish_with(t, OUTCOME_STORE_FAILED, HOLD_STORAGE, result->why);
        return;
    case BUCKET_MISSING:
    case BUCKET_FAILED:
    case BUCKET_CANCELLED:
        finish_with(t, OUTCOME_STORE_FAILED, HOLD_NONE, result->why);
        return;
    }
}

/* ---- the fetch ---- */

/** Of a 206, the fetch lets only one pass that brings all. */
static bool brings_video(int status)
{
    return status == 200 || status == 203 || status == 206;
}

/** A slow host is borne as long as nobody else wants its slot. */
static bool on_slow(void *context)
{
    const struct transfer *t = context;
    return !due_has_transfer(t->stage->due);
}

static bool on_head(void *context, int status, int64_t length,
                    struct str content_type)
{
    struct transfer *t = context;
    (void)content_type; /* the check of the boxes decides, not a label */
    if (!brings_video(status)) {
        return false;
    }
    if (t->again) {
        return t->put != NULL;
    }
    struct err err = {0};
    t->put = bucket_put(t->stage->edges->bucket, t->key, length, on_put_ready,
                        on_put_end, t, &err);
    if (!t->put && !t->has_end) {
        char *why = arena_copy(&t->arena, err.text, strlen(err.text));
        t->has_end = true;
        t->end = (struct outcome){.kind = OUTCOME_STORE_FAILED,
                                  .message = str_of(why)};
    }
    return t->put != NULL;
}

static bool on_data(void *context, const char *bytes, size_t len)
{
    struct transfer *t = context;
    metric_add(t->stage->metrics.video_bytes, (double)len);
    if (!t->put) {
        return true; /* storage has given up; the cancel is on its way */
    }
    digest_add(t->digest, bytes, len);
    if (t->again) {
        return true;
    }
    video_check_add(&t->check, bytes, len);
    if (put_write(t->put, bytes, len)) {
        return true;
    }
    t->resume_later = true;
    return false;
}

static void fetch_one(struct transfer *t);

/** What failed the check is told: it is fetched again, and nobody is harmed. */
static void not_whole(struct transfer *t, const struct fetch_end *end,
                      enum outcome_kind kind, const char *why)
{
    const struct job *job = jobs_get(t->stage->jobs, t->ref);
    log_at(LOG_WARN, "a video failed the check; it is fetched again",
           LOG_TEXT("request_id", job ? job_request_id(job) : ""),
           LOG_I64("index", (int64_t)t->at), LOG_TEXT("why", why),
           LOG_I64("bytes", end->bytes), LOG_I64("length", end->length),
           LOG_TEXT("sha256", t->sha256));
    end_after_put(t, kind, why, end->status);
}

/** Whole, as far as can be told by one body or by two. */
static void body_is_good(struct transfer *t)
{
    assert(t->put && !t->fetch && !t->whole);
    t->whole = true;
    put_finish(t->put, t->sha256);
}

/** The second body: only its hash is wanted, the first one waits in the put. */
static void second_came(struct transfer *t, const struct fetch_end *end,
                        const char *sha256)
{
    assert(t->again && t->put);
    if (end->bytes == t->first_bytes && strcmp(sha256, t->sha256) == 0) {
        t->fetch_end.bytes = t->first_bytes;
        body_is_good(t);
        return;
    }
    not_whole(t, end, OUTCOME_FETCH_FAILED,
              "it came without a length, nothing in it proves its end, and a "
              "second fetch brought other bytes");
}

static void body_came(struct transfer *t, const struct fetch_end *end)
{
    assert(t->put && !t->has_end);
    unsigned char sum[DIGEST_BYTES];
    char sha256[DIGEST_HEX_BYTES];
    digest_end(t->digest, sum);
    str_hex(sum, sizeof sum, sha256);
    if (t->again) {
        second_came(t, end, sha256);
        return;
    }
    memcpy(t->sha256, sha256, sizeof sha256);
    const bool complete =
        end->delimited || (end->length >= 0 && end->length == end->bytes);
    const struct video_verdict verdict = video_check_end(&t->check, complete);
    t->media = verdict.media;
    if (verdict.fault) {
        /* Without a length it may just have been cut short. */
        not_whole(t, end, complete ? OUTCOME_UNUSABLE : OUTCOME_FETCH_FAILED,
                  verdict.fault);
    } else if (verdict.proven) {
        body_is_good(t);
    } else {
        t->again = true;
        t->resume_later = false;
        t->first_bytes = end->bytes;
        fetch_one(t);
    }
}

static bool is_refusal(int status)
{
    return (status >= 300 && status < 500) && status != 408 && status != 425 &&
           status != 429;
}

static void on_fetch_end(void *context, const struct fetch_end *end)
{
    struct transfer *t = context;
    t->fetch = NULL;
    t->fetch_end = *end;
    if (t->found) {
        bucket_check(t->stage->edges->bucket, t->key, on_found, t);
    } else if (t->has_end) {
        end_after_put(t, t->end.kind, "", 0);
    } else if (t->cancelled) {
        end_after_put(t, OUTCOME_FETCH_FAILED, "stopped", 0);
    } else if (end->forbidden) {
        end_after_put(t, OUTCOME_FETCH_REFUSED, end->why, end->status);
    } else if (end->end == REPLY_TOO_LARGE) {
        end_after_put(t, OUTCOME_OVERSIZE, "the video is over VIDEO_MAX_BYTES",
                      end->status);
    } else if (is_refusal(end->status)) {
        end_after_put(t, OUTCOME_FETCH_REFUSED,
                      "the asset host refused the video", end->status);
    } else if (end->end != REPLY_WHOLE || !brings_video(end->status) ||
               !t->put) {
        end_after_put(t, OUTCOME_FETCH_FAILED,
                      end->why[0] ? end->why
                                  : "the asset host has no video now",
                      end->status);
    } else {
        body_came(t, end);
    }
}

static const struct fetch_hooks hooks = {
    .on_head = on_head,
    .on_data = on_data,
    .on_slow = on_slow,
    .on_end = on_fetch_end,
};

/** Where it can't begin, the put is gone first. */
static void fetch_one(struct transfer *t)
{
    assert(!t->fetch);
    struct err err = {0};
    t->fetch = t->key.at
                   ? fetch_start(t->stage->edges->fetcher, t->assets[t->at].url,
                                 CONNECT_MS, STALL_MS, &hooks, t, &err)
                   : NULL;
    if (!t->fetch) {
        end_after_put(t,
                      err.kind == ERR_PERMANENT ? OUTCOME_FETCH_REFUSED
                                                : OUTCOME_FETCH_FAILED,
                      t->key.at ? err.text : "no memory", 0);
    }
}

static void next_video(void *context)
{
    struct transfer *t = context;
    assert(!t->fetch && !t->put && t->at < t->assets_len);
    struct stage *stage = t->stage;
    struct job *job = jobs_get(stage->jobs, t->ref);
    if (!job || t->cancelled) {
        finish_with(t, OUTCOME_FETCH_FAILED, HOLD_NONE, "stopped");
        return;
    }
    t->key = asset_key(stage->options->key_template, &job->effect->facts->facts,
                       job_task(job)->row.submission, t->at, &t->arena);
    unsigned char left[DIGEST_BYTES];
    digest_end(t->digest, left); /* what one that was found had fed it */
    t->sha256[0] = '\0';
    t->resume_later = false;
    t->found = false;
    t->again = false;
    t->whole = false;
    video_check_done(&t->check);
    if (t->key.at) {
        bucket_expect(stage->edges->bucket, t->key);
    }
    fetch_one(t);
}

/* ---- begin and cancel ---- */

static struct transfer *transfer_new(struct stage *stage, struct job *job)
{
    assert(job->effect && job->effect->facts);
    struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        return NULL;
    }
    *t = (struct transfer){.stage = stage, .ref = job_ref(job)};
    arena_init(&t->arena, 4096, 0);
    t->digest = digest_new();
    t->assets_len =
        assets_read(job_task(job)->row.result, &t->arena, &t->assets);
    t->videos = arena_alloc(&t->arena, (t->assets_len + 1) * sizeof *t->videos);
    if (!t->digest || !t->videos || t->arena.failed) {
        digest_free(t->digest);
        arena_done(&t->arena);
        free(t);
        return NULL;
    }
    return t;
}

void transfer_begin(struct stage *stage, struct job *job)
{
    assert(job->takes == SLOT_TRANSFER);
    if (!job_has_facts(job)) {
        stage->hooks->on_read(stage->context,
                              job); /* the slot stays the job's meanwhile */
        return;
    }
    CRASHPOINT("transfer_begins");
    struct transfer *t = transfer_new(stage, job);
    if (!t || t->assets_len == 0) {
        const struct outcome outcome = {
            .kind = t ? OUTCOME_FETCH_REFUSED : OUTCOME_FETCH_FAILED,
            .message = STR("there is no URL to fetch"),
        };
        if (t) {
            digest_free(t->digest);
            arena_done(&t->arena);
            free(t);
        }
        gate_give_back(stage->gate, job);
        stage_outcome(stage, job, &outcome);
        return;
    }
    gate_pass(stage->gate, job);
    job->effect->stage = t;
    next_video(t);
}

void transfer_cancel(struct job *job)
{
    struct transfer *t = job->effect ? job->effect->stage : NULL;
    if (!t || t->cancelled) {
        return;
    }
    t->cancelled = true;
    if (t->fetch) {
        fetch_cancel(t->fetch);
    } else if (t->put && !t->whole && !t->has_end) {
        put_cancel(t->put);
    }
    /* A put that is being finished or is cancelled already, or a check, comes
     * to its end by itself. */
}
