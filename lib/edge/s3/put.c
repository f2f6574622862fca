#include "edge/s3/put.h"

#include "base/crashpoint.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_BYTES ((size_t)128 << 10) /* wait unsent: no more, please */
#define BROKEN_OFF_MAX 2 /* puts in a row, though all else is answered */

/* ---- ends ---- */

static void way_done(struct s3_put *put)
{
    assert(put->way);
    if (put->way->done) {
        put->way->done(put);
    }
}

void s3_put_drop(struct s3_put *put)
{
    assert(put->s3->puts > 0);
    s3_drop(put->call);
    way_done(put);
    list_remove(&put->learning);
    put->s3->puts--;
    loop_timer_free(put->soon);
    free(put->fifo.bytes);
    free(put);
}

static void tell_end(struct s3_put *put, enum bucket_end end, const char *why)
{
    assert(put->on_end && list_is_empty(&put->want));
    struct bucket_result result = {.end = end, .bytes = put->taken};
    if (end != BUCKET_DONE) {
        snprintf(result.why, sizeof result.why, "%s", why);
    }
    bucket_fn *on_end = put->on_end;
    void *context = put->context;
    s3_put_drop(put);
    on_end(context, &result);
}

void s3_put_note(struct s3_put *put, const struct s3_end *end)
{
    struct s3 *s3 = put->s3;
    assert(!put->call);
    put->form = end->form;
    put->odd = end->form;
    put->ours = end->ours;
    if (put->how) {
        put->how->form = end->form;
        put->how->mended = end->mended;
        put->how->lost = end->lost;
        put->how->ours = end->ours;
    } else if (end->verdict == S3_DONE) {
        s3->odd = 0;
        s3->broken_off = 0;
    }
}

void s3_put_starves(struct s3_put *put)
{
    put->ours = true;
    if (put->how) {
        put->how->ours = true;
    }
}

void s3_put_end(struct s3_put *put, enum bucket_end end, const char *why)
{
    assert(end != BUCKET_CANCELLED || put->cancelled);
    bool learns = put->form && !put->how && !put->cancelled &&
                  end != BUCKET_DONE && end != BUCKET_EXISTS;
    put->form = false;
    if (!learns) {
        tell_end(put, end, why);
        return;
    }
    put->end = end;
    if (why != put->why) {
        snprintf(put->why, sizeof put->why, "%s", why);
    }
    s3_drop(put->call);
    put->call = NULL;
    way_done(put); /* the probe may need its buffer */
    put->s3->learn(put);
}

void s3_put_learnt(struct s3_put *put, const struct bucket_result *probed)
{
    assert(!put->how);
    if (probed->end == BUCKET_UNUSABLE) {
        tell_end(put, BUCKET_UNUSABLE, probed->why);
    } else {
        tell_end(put, BUCKET_FAILED, put->why); /* again, as it is taken now */
    }
}

static void on_looked(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    assert(put->call);
    put->call = NULL;
    if (end->verdict == S3_DONE) {
        s3_put_end(put, BUCKET_EXISTS, "it is there");
    } else if (s3_last_end(end) == BUCKET_UNUSABLE) {
        s3_put_end(put, BUCKET_UNUSABLE, end->why);
    } else {
        /* A store that refuses a body may break off before one has read why. */
        put->form = end->verdict == S3_MISSING && !put->how && !put->ours &&
                    ++put->s3->broken_off >= BROKEN_OFF_MAX;
        s3_put_end(put, BUCKET_FAILED, put->why);
    }
}

bool s3_put_ask(struct s3_put *put, s3_end_fn *on_end)
{
    assert(!put->call && put->key.len > 0);
    const struct s3_ask ask = {.method = "HEAD", .key = put->key};
    put->call = s3_send(put->s3, &ask, on_end, put);
    return put->call != NULL;
}

void s3_put_look(struct s3_put *put, const char *why)
{
    assert(!put->call && put->key.len > 0);
    snprintf(put->why, sizeof put->why, "%s", why);
    if (!s3_put_ask(put, on_looked)) {
        s3_put_starves(put);
        s3_put_end(put, BUCKET_FAILED, why);
    }
}

/* ---- writing ---- */

void s3_put_turn(void *context)
{
    struct s3_put *put = context;
    assert(put->s3->puts > 0);
    if (!list_is_empty(&put->learning)) {
        return; /* its end comes with the probe's */
    }
    const bool ends = put->cancelled || put->refused;
    if (put->said_no && put->way->has_room(put) && !ends) {
        put->said_no = false;
        put->on_ready(put->context); /* it may write, finish or cancel */
    }
    put->way->turn(put);
}

bool s3_put_write(struct put *base, const char *bytes, size_t len)
{
    struct s3_put *put = (struct s3_put *)(void *)base;
    assert(!put->finishing && !put->cancelled);
    put->taken += (int64_t)len;
    if ((put->limited && put->taken > put->s3->bytes_max) ||
        (put->announced >= 0 && put->taken > put->announced)) {
        put->refused = "it is larger than announced or allowed";
    } else if (!s3_fifo_add(&put->fifo, bytes, len)) {
        s3_put_starves(put);
        put->refused = "there is no memory for it";
    }
    if (put->refused) {
        loop_timer_set(put->soon, 0);
    } else {
        put->way->on_more(put);
    }
    put->said_no = put->fifo.len >= FULL_BYTES && !put->refused;
    return !put->said_no;
}

void s3_put_finish(struct put *base, const char *sha256)
{
    struct s3_put *put = (struct s3_put *)(void *)base;
    assert(!put->finishing && !put->cancelled);
    CRASHPOINT_IF(!put->how, "s3_put_finish");
    put->finishing = true;
    put->said_no = false;
    bool hashed = s3_base64_of_hex(sha256, put->checksum);
    if (put->announced >= 0 && put->taken != put->announced) {
        put->refused = "fewer bytes came than announced";
    } else if (!hashed && (put->takes.body == S3_FRAMED || put->takes.sums)) {
        put->refused = "its hash is not known";
    } else if (hashed) {
        snprintf(put->sha256, sizeof put->sha256, "%s", sha256);
    }
    if (put->refused) {
        loop_timer_set(put->soon, 0);
    } else {
        put->way->on_more(put);
    }
}

void s3_put_cancel(struct put *base)
{
    struct s3_put *put = (struct s3_put *)(void *)base;
    assert(put->s3->puts > 0);
    put->cancelled = true;
    loop_timer_set(put->soon, 0);
}
