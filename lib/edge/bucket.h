#ifndef EDGE_BUCKET_H
#define EDGE_BUCKET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "core/media.h"
#include "edge/loop.h"

#include <stdint.h>

/**
 * Where videos come to rest: a directory (bucket_fs) or S3 (bucket_s3). What
 * is visible is whole and never replaced.
 */
struct bucket;
struct put;
struct proxy;

enum bucket_end {
    BUCKET_DONE,    /* put: visible now; check: whole; probe: usable */
    BUCKET_EXISTS,  /* put: something is already visible under that name */
    BUCKET_MISSING, /* check: nothing is there */
    BUCKET_FAILED,  /* this one failed; again may work */
    /* storage itself is at fault (full, read-only, credentials, missing):
     * the hold `storage` */
    BUCKET_UNUSABLE,
    BUCKET_CANCELLED, /* by us */
};

struct bucket_result {
    enum bucket_end end;
    int64_t bytes;      /* DONE of put and check */
    char sha256[65];    /* DONE of check: of what is there, read in full */
    const char *fault;  /* check: there, but not a whole MP4: what is wrong */
    struct media media; /* DONE of check, without a fault: what it is */
    bool nearly_full;   /* DONE of put: the next one may find no room */
    char why[256];      /* in words, for ends that aren't DONE or nearly full */
};

typedef void bucket_fn(void *context, const struct bucket_result *result);

/**
 * @param url      STORAGE_URL, already judged by settings.
 * @param puts_max Puts at once: buffers are sized for it.
 * @param bytes_max The largest object.
 * @param proxy     That leads to S3; null: none; lives longer.
 */
struct bucket *bucket_open(struct loop *loop, struct str url, int puts_max,
                           int64_t bytes_max, const struct proxy *proxy,
                           struct err *err);

/** The public name of a key, such as file:///videos/a/0.mp4; NUL-terminated. */
void bucket_uri(const struct bucket *bucket, struct str key, char *out,
                size_t out_bytes);

/** What holds are scoped by: STORAGE_URL without secrets. */
const char *bucket_name(const struct bucket *bucket);

/**
 * An object is expected under that key: what can be made ready by then is, if
 * there is time to. No promise, and none is asked: it may never come.
 */
void bucket_expect(struct bucket *bucket, struct str key);

/**
 * Begin an object.
 *
 * @param key      Relative, no "..", no empty part (it is checked). Copied.
 * @param bytes    Announced length; -1: unknown.
 * @param on_ready There is room again after put_write() said no.
 * @param on_end   Exactly once, after bucket_put() has returned; the put is
 * gone.
 * @return         null, with *err set, if nothing was started.
 */
struct put *bucket_put(struct bucket *bucket, struct str key, int64_t bytes,
                       loop_fn *on_ready, bucket_fn *on_end, void *context,
                       struct err *err);

/** Takes all bytes (copied). false: no more until on_ready, please. */
bool put_write(struct put *put, const char *bytes, size_t len);

/** All bytes were given and are good: make it durable and visible. */
void put_finish(struct put *put, const char *sha256);

/** Leaves nothing behind; on_end still comes. Accepted in any state, once. */
void put_cancel(struct put *put);

/** Read what is there in full: length, hash, whether it is a whole MP4. */
void bucket_check(struct bucket *bucket, struct str key, bucket_fn *on_result,
                  void *context);

/** What is there and how long, by its name alone: BUCKET_DONE with its bytes,
 * BUCKET_MISSING, or why nobody can tell. */
void bucket_look(struct bucket *bucket, struct str key, bucket_fn *on_result,
                 void *context);

/**
 * A URL by which whoever has it can read that object for so long (S3's
 * presigned GET): to be called from the result of a bucket_look() that has
 * found it, which brings the keys and the store's clock.
 *
 * @param url  Gets it appended. It is a secret while it lasts.
 * @return     false, with *err set: this kind has none, or no keys or memory.
 */
MUST_CHECK bool bucket_link(struct bucket *bucket, struct str key,
                            int expires_s, struct buf *url, struct err *err);

/** scheme://host[:port] of such URLs; "": there are none. */
const char *bucket_site(const struct bucket *bucket);

/** One that is stored. */
struct bucket_object {
    struct str key; /* as bucket_put() was given it */
    int64_t bytes;
};

#define BUCKET_OBJECTS_MAX 1000

/** @param objects  Until it returns; BUCKET_OBJECTS_MAX at most. */
typedef void bucket_objects_fn(void *context,
                               const struct bucket_object *objects, size_t len);

/**
 * All that is visible below, others' too where a bucket is shared, in no order,
 * a part at a time; what is unfinished and what is a probe's is left out.
 *
 * @param on_end  Once: BUCKET_DONE, or why the rest couldn't be seen.
 */
void bucket_walk(struct bucket *bucket, bucket_objects_fn *on_objects,
                 bucket_fn *on_end, void *context);

/**
 * Is there a store to which one could write? Something of our own is written,
 * the way a video is, refused a second time, read back, compared, removed; how
 * a store wants it is found out by that and kept.
 *
 * @param on_result  BUCKET_DONE, with words if it lacks something that is done
 *                   without; BUCKET_UNUSABLE and why; or BUCKET_FAILED: it
 *                   could not be asked for want of memory.
 */
void bucket_probe(struct bucket *bucket, bucket_fn *on_result, void *context);

/**
 * Nobody writes under that key any more: what was begun there and not ended
 * goes, whoever began it.
 *
 * @param on_result BUCKET_DONE: nothing is left; BUCKET_FAILED, within seconds:
 *                  it could not be done yet. It is then tried again until it
 *                  can, or the bucket is closed.
 * @return          false: there is nothing to do, or no memory; no result
 * comes.
 */
MUST_CHECK bool bucket_forget(struct bucket *bucket, struct str key,
                              bucket_fn *on_result, void *context);

/**
 * Sweep up what crashed workers left unfinished (own bookkeeping; bounded).
 *
 * @param key_template KEY_TEMPLATE; only what it can have named is ours, others
 *                     may use the same bucket. Lives as long as the bucket.
 */
void bucket_sweep(struct bucket *bucket, const char *key_template,
                  int64_t older_than_ms);

/** No put, check, look, walk or awaited forget may be under way; a probe is
 * dropped, and its result does not come. */
void bucket_close(struct bucket *bucket);

#endif
