#include "edge/bucket.h"

#include "core/digest.h"
#include "core/video.h"
#include "fake/bucket.h"
#include "fake/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/bucket.h over memory. */

struct bucket {
    struct loop *loop;
    struct list ops;
    int64_t bytes_max;
};

/** In the world: what a put has begun there. Its killed worker leaves it. */
struct upload {
    struct list link;
    char *key;
    bool over; /* shown, given up or aborted */
};

struct put {
    struct op op; /* also that of a check, a probe or a forget */
    struct upload *upload;
    struct bucket *bucket;
    char *key;
    struct buf bytes;
    loop_fn *on_ready;
    bucket_fn *on_end;
    void *context;
    struct bucket_result result;
    bool finishing;
    bool cancelled;
};

/* ---- what is stored ---- */

struct storage *storage_open(struct world *world)
{
    struct storage *storage = calloc(1, sizeof *storage);
    assert(storage);
    storage->world = world;
    list_init(&storage->uploads);
    return storage;
}

void storage_close(struct storage *storage)
{
    for (size_t i = 0; i < storage->len; i++) {
        free(storage->objects[i].key);
        free(storage->objects[i].bytes);
    }
    free(storage->objects);
    while (!list_is_empty(&storage->uploads)) {
        struct upload *upload =
            LIST_OWNER(list_pop(&storage->uploads), struct upload, link);
        free(upload->key);
        free(upload);
    }
    free(storage);
}

const struct object *storage_find(const struct storage *storage,
                                  const char *key)
{
    for (size_t i = 0; i < storage->len; i++) {
        if (strcmp(storage->objects[i].key, key) == 0) {
            return &storage->objects[i];
        }
    }
    return NULL;
}

const char *storage_left(const struct storage *storage)
{
    for (const struct list *at = storage->uploads.next; at != &storage->uploads;
         at = at->next) {
        const struct upload *upload = LIST_OWNER(at, struct upload, link);
        if (!upload->over && !storage_find(storage, upload->key)) {
            return upload->key; /* where an object is, the sweep sees it */
        }
    }
    return NULL;
}

static void store_object(struct storage *storage, const char *key,
                         const struct buf *bytes)
{
    storage->objects = realloc(storage->objects,
                               (storage->len + 1) * sizeof(*storage->objects));
    assert(storage->objects);
    struct object *object = &storage->objects[storage->len++];
    object->key = strdup(key);
    object->bytes = malloc(bytes->len + 1);
    object->len = bytes->len;
    assert(object->key && object->bytes);
    memcpy(object->bytes, bytes->bytes, bytes->len);
    world_tell(storage->world, "stored %s", key);
}

/* ---- the edge ---- */

struct bucket *bucket_open(struct loop *loop, struct str url, int puts_max,
                           int64_t bytes_max, const struct proxy *proxy,
                           struct err *err)
{
    (void)proxy;
    (void)url;
    (void)puts_max;
    (void)err;
    struct bucket *bucket = calloc(1, sizeof *bucket);
    assert(bucket);
    bucket->loop = loop;
    bucket->bytes_max = bytes_max;
    list_init(&bucket->ops);
    return bucket;
}

void bucket_uri(const struct bucket *bucket, struct str key, char *out,
                size_t out_bytes)
{
    (void)bucket;
    snprintf(out, out_bytes, "memory:///%.*s", (int)key.len, key.at);
}

const char *bucket_name(const struct bucket *bucket)
{
    (void)bucket;
    return "memory:///";
}

static void end(struct put *put)
{
    struct bucket_result result = put->result;
    if (put->upload && !loop_is_dead(put->op.loop)) {
        put->upload->over = true;
    }
    bucket_fn *on_end = put->on_end;
    void *context = put->context;
    buf_done(&put->bytes);
    op_end(&put->op);
    on_end(context, &result);
}

static void on_op_end(struct op *op)
{
    end((struct put *)op);
}

static void end_later(struct put *put, enum bucket_end how, const char *why)
{
    put->result.end = how;
    snprintf(put->result.why, sizeof put->result.why, "%s", why);
    op_on_loop(&put->op, world_pick(put->op.world, 5), on_op_end);
}

static struct put *new_op(struct bucket *bucket, struct str key,
                          bucket_fn *on_end, void *context)
{
    struct put *put = op_new(bucket->loop, &bucket->ops, sizeof *put);
    put->bucket = bucket;
    put->key = arena_copy(&put->op.arena, key.at ? key.at : "", key.len);
    put->on_end = on_end;
    put->context = context;
    buf_init(&put->bytes, 0);
    return put;
}

void bucket_expect(struct bucket *bucket, struct str key)
{
    assert(bucket && key.len > 0);
    world_current()->storage->expected++;
}

struct put *bucket_put(struct bucket *bucket, struct str key, int64_t bytes,
                       loop_fn *on_ready, bucket_fn *on_end, void *context,
                       struct err *err)
{
    (void)bytes;
    (void)err;
    struct put *put = new_op(bucket, key, on_end, context);
    put->on_ready = on_ready;
    put->upload = calloc(1, sizeof *put->upload);
    assert(put->upload);
    put->upload->key = strdup(put->key);
    list_init(&put->upload->link);
    list_add_tail(&put->op.world->storage->uploads, &put->upload->link);
    if (put->op.world->storage->full) {
        put->finishing = true;
        end_later(put, BUCKET_UNUSABLE, "no space left");
    } else if (put->op.world->storage->early &&
               storage_find(put->op.world->storage, put->key)) {
        put->finishing = true;
        end_later(put, BUCKET_EXISTS, "");
    }
    return put;
}

static void ready(struct op *op)
{
    struct put *put = (struct put *)op;
    if (!put->cancelled && !put->finishing) {
        put->on_ready(put->context);
    }
}

bool put_write(struct put *put, const char *bytes, size_t len)
{
    assert(!put->cancelled);
    buf_add(&put->bytes, bytes, len);
    if (world_pick(put->op.world, 4) != 0) {
        return true;
    }
    op_on_loop(&put->op, 1 + world_pick(put->op.world, 5), ready);
    return false;
}

/** In the world: it becomes visible even if nobody hears of it. */
static void show(struct op *op)
{
    struct put *put = (struct put *)op;
    struct storage *storage = op->world->storage;
    if (op->ended || put->cancelled) {
        return;
    }
    if (storage->full) {
        end_later(put, BUCKET_UNUSABLE, "no space left");
    } else if (put->upload->over) {
        end_later(put, BUCKET_FAILED, "there is no such upload");
    } else if (world_chance(op->world, storage->chaos)) {
        struck("put fails");
        end_later(put, BUCKET_FAILED, "an I/O error");
    } else if (storage_find(storage, put->key)) {
        end_later(put, BUCKET_EXISTS, "");
    } else {
        store_object(storage, put->key, &put->bytes);
        put->result.bytes = (int64_t)put->bytes.len;
        end_later(put, BUCKET_DONE, "");
    }
}

void put_finish(struct put *put, const char *sha256)
{
    assert(!put->cancelled);
    if (put->finishing) {
        return; /* its end is on the way */
    }
    unsigned char sum[DIGEST_BYTES];
    char whole[DIGEST_HEX_BYTES];
    digest_of(buf_str(&put->bytes), sum);
    str_hex(sum, sizeof sum, whole);
    assert(strcmp(whole, sha256) == 0);
    put->finishing = true;
    op_in_world(&put->op, 1 + world_pick(put->op.world, 20), show);
}

void put_cancel(struct put *put)
{
    assert(!put->cancelled);
    put->cancelled = true;
    if (!put->finishing || put->result.end == BUCKET_DONE) {
        end_later(put, BUCKET_CANCELLED, "cancelled");
    }
}

static void look(struct op *op)
{
    struct put *put = (struct put *)op;
    const struct object *object = storage_find(op->world->storage, put->key);
    if (op->ended) {
        return;
    }
    if (!object) {
        end_later(put, BUCKET_MISSING, "nothing is there");
        return;
    }
    unsigned char sum[DIGEST_BYTES];
    struct video_check check;
    video_check_init(&check);
    video_check_add(&check, object->bytes, object->len);
    const struct video_verdict verdict = video_check_end(&check, true);
    put->result.fault = verdict.fault;
    put->result.media = verdict.media;
    video_check_done(&check);
    digest_of((struct str){object->bytes, object->len}, sum);
    str_hex(sum, sizeof sum, put->result.sha256);
    put->result.bytes = (int64_t)object->len;
    end_later(put, BUCKET_DONE, "");
}

void bucket_check(struct bucket *bucket, struct str key, bucket_fn *on_result,
                  void *context)
{
    struct put *put = new_op(bucket, key, on_result, context);
    op_in_world(&put->op, 1 + world_pick(put->op.world, 5), look);
}

void bucket_probe(struct bucket *bucket, bucket_fn *on_result, void *context)
{
    struct put *put = new_op(bucket, STR(""), on_result, context);
    bool full = put->op.world->storage->full;
    end_later(put, full ? BUCKET_UNUSABLE : BUCKET_DONE,
              full ? "no space left" : "");
}

static void forget(struct op *op)
{
    struct put *put = (struct put *)op;
    struct storage *storage = op->world->storage;
    for (struct list *at = storage->uploads.next; at != &storage->uploads;
         at = at->next) {
        struct upload *upload = LIST_OWNER(at, struct upload, link);
        if (strcmp(upload->key, put->key) == 0) {
            upload->over = true;
        }
    }
    if (!op->ended) {
        end_later(put, BUCKET_DONE, "");
    }
}

bool bucket_forget(struct bucket *bucket, struct str key, bucket_fn *on_result,
                   void *context)
{
    struct put *put = new_op(bucket, key, on_result, context);
    op_in_world(&put->op, 1 + world_pick(put->op.world, 5), forget);
    return true;
}

void bucket_sweep(struct bucket *bucket, const char *key_template,
                  int64_t older_than_ms)
{
    (void)bucket;
    (void)key_template;
    (void)older_than_ms;
}

/** Of a killed worker: what is under way ends here. */
void bucket_close(struct bucket *bucket)
{
    while (!list_is_empty(&bucket->ops)) {
        struct put *put =
            (struct put *)LIST_OWNER(bucket->ops.next, struct op, link);
        put->result = (struct bucket_result){.end = BUCKET_CANCELLED};
        end(put);
    }
    free(bucket);
}
