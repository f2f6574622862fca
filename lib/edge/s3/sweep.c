#include "edge/s3/sweep.h"

#include "base/buf.h"
#include "base/crashpoint.h"
#include "core/asset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* in one listing: below what an answer may have */
#define PAGE_UPLOADS "1000"
#define SWEEP_MAX 100000 /* uploads looked at by one sweep */
#define AGAIN_MS 5000    /* what could not be done is tried again */
#define AGAIN_MAX 12     /* for an hour: each wait is twice the last one */
#define AGAIN_SHIFT_MAX 7
#define PAGES_MAX 200     /* of one listing: a store may go in a circle */
#define ANSWER_MS 10000   /* whoever waits for the first try waits no longer */
#define FORGETS_MAX 10000 /* sweeps of single keys at once */
/* probes' objects: few are left, and a listing costs */
#define PROBES_EVERY_MS 3600000

/*
 * All uploads below a prefix, page by page, one after the other. Of those whose
 * names we give, aborted are the ones that are older than any that may still go
 * on, and those whose object is there: whoever began them lost its lease, and
 * another was quicker. Or all of one very key, when nobody writes under it any
 * more; that one is repeated until nothing stood in its way.
 *
 * Behind the uploads, once an hour, come the objects that probes of killed
 * workers left: those with a probe's name and as old.
 */
struct s3_sweep {
    struct list link;
    struct s3 *s3;
    struct str prefix;
    bool exact;               /* that very key, whatever its age */
    const char *key_template; /* not exact: names what is ours */
    int64_t older_than_ms;
    int64_t before_ms; /* by the store's clock, when it had listed */
    struct s3_call *call;
    struct buf page; /* what the store listed */
    size_t at;       /* read so far */
    int looked;
    int pages;
    struct buf key;   /* of the upload at hand */
    struct buf query; /* which names it */
    char text[S3_KEY_BYTES_MAX];
    bool probes; /* objects are listed: those of probes */
    bool failed; /* something was left */
    int tries;
    /* exact only: the next try, or an end of waiting */
    struct loop_timer *timer;
    bucket_fn *on_result; /* null: nobody waits, or was told */
    void *context;
};

static void sweep_free(struct s3_sweep *sweep)
{
    struct s3 *s3 = sweep->s3;
    assert(sweep->exact ? s3->forgets > 0 : s3->sweeping);
    s3_drop(sweep->call);
    list_remove(&sweep->link);
    if (sweep->exact) {
        s3->forgets--;
    } else {
        s3->sweeping = false;
    }
    loop_timer_free(sweep->timer);
    buf_done(&sweep->page);
    buf_done(&sweep->key);
    buf_done(&sweep->query);
    free(sweep);
}

void s3_sweeps_end(struct s3 *s3)
{
    while (!list_is_empty(&s3->sweeps)) {
        sweep_free(LIST_OWNER(s3->sweeps.next, struct s3_sweep, link));
    }
}

static void tell(struct s3_sweep *sweep, enum bucket_end end, const char *why)
{
    struct bucket_result result = {.end = end};
    bucket_fn *on_result = sweep->on_result;
    sweep->on_result = NULL;
    if (on_result) {
        snprintf(result.why, sizeof result.why, "%s", why);
        on_result(sweep->context, &result);
    }
}

static void sweep_next(struct s3_sweep *sweep);
static void sweep_over(struct s3_sweep *sweep);

/* ---- one upload ---- */

static void on_swept(void *context, const struct s3_end *end)
{
    struct s3_sweep *sweep = context;
    assert(sweep->call);
    sweep->call = NULL;
    if (end->verdict != S3_DONE && end->verdict != S3_MISSING) {
        sweep->failed = true;
    }
    sweep_next(sweep);
}

static void sweep_abort(struct s3_sweep *sweep)
{
    struct s3_ask ask = {.method = "DELETE", .key = buf_str(&sweep->key)};
    s3_ask_query(&ask, &sweep->query);
    assert(ask.query.len > 0); /* without it, the object itself would go */
    CRASHPOINT("s3_sweep_before");
    sweep->call = s3_send(sweep->s3, &ask, on_swept, sweep);
    sweep->failed = sweep->failed || !sweep->call;
}

static void on_sweep_looked(void *context, const struct s3_end *end)
{
    struct s3_sweep *sweep = context;
    assert(sweep->call);
    sweep->call = NULL;
    if (end->verdict == S3_DONE) {
        sweep_abort(sweep);
    }
    if (!sweep->call) {
        sweep_next(sweep);
    }
}

static void sweep_look(struct s3_sweep *sweep)
{
    assert(!sweep->call);
    const struct s3_ask ask = {.method = "HEAD", .key = buf_str(&sweep->key)};
    sweep->call = s3_send(sweep->s3, &ask, on_sweep_looked, sweep);
}

/** Reads what names an upload. False: no memory, or it has no name. */
static bool sweep_name(struct s3_sweep *sweep, struct str upload)
{
    struct buf id;
    size_t at = 0;
    buf_init(&id, 0);
    buf_reset(&sweep->key);
    buf_reset(&sweep->query);
    s3_xml_decode(&sweep->key, s3_xml(upload, "Key", &at));
    at = 0;
    s3_xml_decode(&id, s3_xml(upload, "UploadId", &at));
    buf_add_text(&sweep->query, "uploadId=");
    sigv4_encode(&sweep->query, buf_str(&id), false);
    const bool good = sweep->key.len > 0 && !sweep->key.failed && id.len > 0 &&
                      !id.failed && !sweep->query.failed;
    buf_done(&id);
    return good;
}

/** Others may have uploads in the bucket too: none of ours, none of our
 * business. */
static bool is_ours(const struct s3_sweep *sweep, struct str key)
{
    if (!str_starts(key, sweep->prefix)) {
        return false;
    }
    if (sweep->exact) {
        return str_eq(key, sweep->prefix);
    }
    struct str name = {key.at + sweep->prefix.len, key.len - sweep->prefix.len};
    return asset_key_fits(sweep->key_template, name) || s3_is_probe(name);
}

/** Makes the call that is due for an upload, if one is. */
static void sweep_upload(struct s3_sweep *sweep, struct str upload)
{
    size_t at = 0;
    int64_t begun_ms = s3_time(s3_xml(upload, "Initiated", &at));
    if (!sweep_name(sweep, upload)) {
        sweep->failed = true;
        return;
    }
    if (!is_ours(sweep, buf_str(&sweep->key))) {
        return;
    }
    if (sweep->exact) {
        sweep_abort(sweep);
    } else if (begun_ms >= 0 && begun_ms < sweep->before_ms) {
        sweep_abort(sweep);
    } else {
        sweep_look(sweep);
    }
}

/* ---- one object ---- */

/** Where one can't be deleted, none can: a policy, most often. */
static void on_deleted(void *context, const struct s3_end *end)
{
    struct s3_sweep *sweep = context;
    assert(sweep->call && sweep->probes);
    sweep->call = NULL;
    if (end->verdict != S3_DONE && end->verdict != S3_MISSING) {
        sweep_over(sweep);
    } else {
        sweep_next(sweep);
    }
}

/** A young one may be a living probe's. */
static void sweep_object(struct s3_sweep *sweep, struct str object)
{
    assert(sweep->probes && !sweep->call);
    size_t at = 0;
    const int64_t made_ms = s3_time(s3_xml(object, "LastModified", &at));
    at = 0;
    buf_reset(&sweep->key);
    s3_xml_decode(&sweep->key, s3_xml(object, "Key", &at));
    const struct str key = buf_str(&sweep->key);
    if (sweep->key.failed || !str_starts(key, sweep->prefix) || made_ms < 0 ||
        made_ms >= sweep->before_ms) {
        return;
    }
    const struct str name = {key.at + sweep->prefix.len,
                             key.len - sweep->prefix.len};
    if (s3_is_probe(name)) {
        const struct s3_ask ask = {.method = "DELETE", .key = key};
        sweep->call = s3_send(sweep->s3, &ask, on_deleted, sweep);
    }
}

/* ---- pages ---- */

static void on_listed(void *context, const struct s3_end *end);

static bool sweep_ask(struct s3_sweep *sweep, struct buf *query)
{
    assert(!sweep->call);
    struct s3_ask ask = {.method = "GET"};
    s3_ask_query(&ask, query);
    sweep->call = s3_send(sweep->s3, &ask, on_listed, sweep);
    buf_done(query);
    return sweep->call != NULL;
}

/** Asks for the objects of probes; token: where the last page says that the
 * next one begins; "": the first. */
static bool sweep_list_probes(struct s3_sweep *sweep, struct str token)
{
    assert(sweep->probes);
    struct buf query;
    buf_init(&query, 0);
    buf_add_text(&query, "list-type=2&max-keys=" PAGE_UPLOADS "&prefix=");
    sigv4_encode(&query, sweep->prefix, false);
    sigv4_encode(&query, STR(S3_PROBE), false);
    if (token.len > 0) {
        buf_add_text(&query, "&continuation-token=");
        sigv4_encode(&query, token, false);
    }
    return sweep_ask(sweep, &query);
}

/** Asks for the uploads behind a place in the order of all; "": the first. */
static bool sweep_list(struct s3_sweep *sweep, struct str key, struct str id)
{
    struct buf query;
    buf_init(&query, 0);
    buf_add_text(&query, "uploads=&max-uploads=" PAGE_UPLOADS "&prefix=");
    sigv4_encode(&query, sweep->prefix, false);
    if (key.len > 0) {
        buf_add_text(&query, "&key-marker=");
        sigv4_encode(&query, key, false);
        buf_add_text(&query, "&upload-id-marker=");
        sigv4_encode(&query, id, false);
    }
    return sweep_ask(sweep, &query);
}

/** False: that was the last page. */
static bool sweep_turn_page(struct s3_sweep *sweep)
{
    struct buf key;
    struct buf id;
    struct str page = buf_str(&sweep->page);
    size_t at = 0;
    bool more = str_eq(s3_xml(page, "IsTruncated", &at), STR("true"));
    const char *place =
        sweep->probes ? "NextContinuationToken" : "NextKeyMarker";
    buf_init(&key, 0);
    buf_init(&id, 0);
    at = 0;
    s3_xml_decode(&key, s3_xml(page, place, &at));
    at = 0;
    s3_xml_decode(&id, s3_xml(page, "NextUploadIdMarker", &at));
    more = more && (key.len > 0 || key.failed) && sweep->looked < SWEEP_MAX &&
           ++sweep->pages < PAGES_MAX;
    if (more &&
        (key.failed || id.failed ||
         !(sweep->probes ? sweep_list_probes(sweep, buf_str(&key))
                         : sweep_list(sweep, buf_str(&key), buf_str(&id))))) {
        sweep->failed = true; /* from another place, some would be left out */
        more = false;
    }
    buf_done(&key);
    buf_done(&id);
    return more;
}

/** Goes on to what probes left, if it is time. */
static bool sweep_begins_probes(struct s3_sweep *sweep)
{
    struct s3 *s3 = sweep->s3;
    const int64_t now_ms = loop_boot_ms(s3->loop);
    if (sweep->exact || sweep->probes ||
        (s3->probes_swept_ms &&
         now_ms - s3->probes_swept_ms < PROBES_EVERY_MS)) {
        return false;
    }
    s3->probes_swept_ms = now_ms;
    sweep->probes = true;
    sweep->looked = 0;
    sweep->pages = 0;
    return sweep_list_probes(sweep, STR(""));
}

static void sweep_over(struct s3_sweep *sweep)
{
    if (sweep_begins_probes(sweep)) {
        return;
    }
    if (!sweep->failed || !sweep->exact || ++sweep->tries >= AGAIN_MAX) {
        tell(sweep, sweep->failed ? BUCKET_FAILED : BUCKET_DONE,
             "S3 did not abort what was begun");
        sweep_free(sweep);
        return;
    }
    tell(sweep, BUCKET_FAILED, "S3 did not abort what was begun");
    const int shift =
        sweep->tries - 1 < AGAIN_SHIFT_MAX ? sweep->tries - 1 : AGAIN_SHIFT_MAX;
    loop_timer_set(sweep->timer, (int64_t)AGAIN_MS << shift);
}

static void sweep_next(struct s3_sweep *sweep)
{
    const char *name = sweep->probes ? "Contents" : "Upload";
    struct str one;
    while ((one = s3_xml(buf_str(&sweep->page), name, &sweep->at)).at) {
        sweep->looked++;
        if (sweep->probes) {
            sweep_object(sweep, one);
        } else {
            sweep_upload(sweep, one);
        }
        if (sweep->call) {
            return;
        }
    }
    if (!sweep_turn_page(sweep)) {
        sweep_over(sweep);
    }
}

static void on_listed(void *context, const struct s3_end *end)
{
    struct s3_sweep *sweep = context;
    assert(sweep->call);
    sweep->call = NULL;
    sweep->at = 0;
    buf_reset(&sweep->page);
    /* Only now: the listing itself may have told how wrong our clock is. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    sweep->before_ms =
        (int64_t)now.tv_sec * 1000 + sweep->s3->skew_ms - sweep->older_than_ms;
    if (end->verdict == S3_DONE) {
        buf_add_str(&sweep->page, end->body);
        sweep->failed = sweep->failed || sweep->page.failed;
    } else if (end->verdict != S3_MISSING) {
        sweep->failed = true;
    }
    sweep_next(sweep);
}

/* ---- begin ---- */

static void on_timer(void *context)
{
    struct s3_sweep *sweep = context;
    if (sweep->call) {
        tell(sweep, BUCKET_FAILED, "S3 does not answer");
        return;
    }
    sweep->failed = false;
    sweep->looked = 0;
    sweep->pages = 0;
    if (!sweep_list(sweep, STR(""), STR(""))) {
        loop_timer_set(sweep->timer, AGAIN_MS);
    }
}

/** null: no memory, or too many. The first question has been asked. */
static struct s3_sweep *sweep_new(struct s3 *s3, struct str prefix, bool exact,
                                  int64_t older_than_ms)
{
    if (exact && s3->forgets >= FORGETS_MAX) {
        return NULL;
    }
    struct s3_sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep) {
        return NULL;
    }
    snprintf(sweep->text, sizeof sweep->text, "%.*s", (int)prefix.len,
             prefix.at);
    sweep->s3 = s3;
    sweep->prefix = str_of(sweep->text);
    sweep->exact = exact;
    sweep->older_than_ms = older_than_ms;
    buf_init(&sweep->page, 0);
    buf_init(&sweep->key, 0);
    buf_init(&sweep->query, 0);
    list_init(&sweep->link);
    list_add_tail(&s3->sweeps, &sweep->link);
    s3->forgets += exact;
    s3->sweeping = s3->sweeping || !exact;
    sweep->timer = exact ? loop_timer_new(s3->loop, on_timer, sweep) : NULL;
    if ((exact && !sweep->timer) || !sweep_list(sweep, STR(""), STR(""))) {
        sweep_free(sweep);
        return NULL;
    }
    return sweep;
}

void s3_sweep(struct bucket *base, const char *key_template,
              int64_t older_than_ms)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    assert(key_template && older_than_ms >= 0);
    char text[S3_KEY_BYTES_MAX];
    if (s3->sweeping) {
        return; /* the next one will do */
    }
    struct s3_sweep *sweep = sweep_new(
        s3, s3_key(s3, STR(""), text, sizeof text), false, older_than_ms);
    if (sweep) {
        sweep->key_template = key_template;
    }
}

void s3_sweep_key(struct s3 *s3, struct str key)
{
    (void)sweep_new(s3, key, true, 0);
}

bool s3_forget(struct bucket *base, struct str key, bucket_fn *on_result,
               void *context)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    assert(on_result);
    char text[S3_KEY_BYTES_MAX];
    struct s3_sweep *sweep =
        sweep_new(s3, s3_key(s3, key, text, sizeof text), true, 0);
    if (sweep) {
        sweep->on_result = on_result;
        sweep->context = context;
        loop_timer_set(sweep->timer, ANSWER_MS);
    }
    return sweep != NULL;
}
