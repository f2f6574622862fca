#include "edge/s3/parts.h"

#include "base/buf.h"
#include "base/crashpoint.h"
#include "core/digest.h"
#include "edge/s3/sweep.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 4
#define TRY_MS 500 /* doubled each time */
#define MEMORY_MS                                                              \
    200 /* until memory that there was none of is asked for again */

/*
 * A buffer is filled, sent as a part, filled again. All puts share the memory
 * that buffers take: who finds none waits, and its download with it. What fits
 * one buffer goes as a plain PUT.
 */

/* ---- buffers ---- */

static bool take_buffer(struct s3_put *put)
{
    struct s3 *s3 = put->s3;
    assert(put->s3->parts_free >= 0);
    assert(put->part || put->part_len == 0);
    if (put->part) {
        return true;
    }
    if (s3->parts_free > 0 && (put->part = malloc(s3->part_bytes))) {
        s3->parts_free--;
        list_remove(&put->want);
        return true;
    }
    if (s3->parts_free > 0) { /* nobody will give one back */
        loop_timer_set(put->soon, MEMORY_MS);
        return false;
    }
    list_remove(&put->want);
    list_add_tail(&s3->parts_wanted, &put->want);
    return false;
}

static void done(struct s3_put *put)
{
    struct s3 *s3 = put->s3;
    list_remove(&put->want);
    buf_done(&put->list);
    free(put->parts);
    put->parts = NULL;
    if (put->part) {
        free(put->part);
        put->part = NULL;
        s3->parts_free++;
    }
    /* Also of one that had none: it may have been told that one is free. */
    struct list *link = s3->parts_free ? list_pop(&s3->parts_wanted) : NULL;
    if (link) {
        loop_timer_set(LIST_OWNER(link, struct s3_put, want)->soon, 0);
    }
}

static bool has_room(const struct s3_put *put)
{
    return put->fifo.len < S3_ROOM_BYTES;
}

static void fill(struct s3_put *put)
{
    assert(put->part && put->part_len <= put->s3->part_bytes);
    size_t n = put->s3->part_bytes - put->part_len;
    n = n < put->fifo.len ? n : put->fifo.len;
    s3_fifo_take(&put->fifo, put->part + put->part_len, n);
    put->part_len += n;
}

/* ---- ends ---- */

static void turn(struct s3_put *put);

static void on_aborted(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    assert(put->call && put->end != BUCKET_DONE);
    (void)end; /* what is left of it, a sweep finds */
    put->call = NULL;
    CRASHPOINT_IF(!put->how, "s3_abort_after");
    s3_put_end(put, put->end, put->why);
}

static void ask_upload(const struct s3_put *put, const char *before,
                       struct buf *query, struct s3_ask *ask)
{
    assert(put->upload_id[0]);
    buf_init(query, 0);
    buf_add_text(query, before);
    buf_add_text(query, "uploadId=");
    sigv4_encode(query, str_of(put->upload_id), false);
    s3_ask_query(ask, query);
}

/** Whatever is under way is dropped; parts that are there go. */
static void give_up(struct s3_put *put, enum bucket_end end, const char *why)
{
    assert(end != BUCKET_DONE);
    struct buf query;
    put->end = end;
    if (why != put->why) {
        snprintf(put->why, sizeof put->why, "%s", why);
    }
    s3_drop(put->call);
    put->call = NULL;
    if (put->upload_id[0]) {
        struct s3_ask ask = {.method = "DELETE", .key = put->key};
        ask_upload(put, "", &query, &ask);
        put->upload_id[0] = '\0';
        CRASHPOINT_IF(!put->how, "s3_abort_before");
        put->call = s3_send(put->s3, &ask, on_aborted, put);
        buf_done(&query);
    }
    if (!put->call) {
        s3_put_end(put, end, put->why);
    }
}

static bool is_giving_up(const struct s3_put *put)
{
    return put->end != BUCKET_DONE;
}

/** True: the call is made again later. */
static bool try_again(struct s3_put *put, const struct s3_end *end)
{
    assert(end->verdict != S3_DONE && !put->call);
    bool worth = end->verdict == S3_AGAIN || end->verdict == S3_SLOW;
    worth = worth && !(put->how && end->form); /* a probe tries other forms */
    if (!worth || ++put->tries >= TRIES_MAX || put->cancelled) {
        return false;
    }
    put->again_ms = loop_boot_ms(put->s3->loop) + (TRY_MS << put->tries);
    loop_timer_set(put->soon, TRY_MS << put->tries);
    return true;
}

static void no_memory(struct s3_put *put)
{
    s3_put_starves(put);
    give_up(put, BUCKET_FAILED, "no memory for a call to S3");
}

/* ---- one that fits a buffer ---- */

static void on_small(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    assert(put->call && !put->upload_id[0]);
    put->call = NULL;
    s3_put_note(put, end);
    if (end->lost) {
        s3_put_look(put, end->why);
        return;
    }
    CRASHPOINT_IF(end->verdict == S3_DONE && !put->how, "s3_small_after");
    if (end->verdict == S3_DONE) {
        s3_speed_up(put->s3);
    }
    s3_put_end(put, s3_bucket_end(end->verdict), end->why);
}

static void send_small(struct s3_put *put)
{
    assert(!put->call && put->finishing);
    struct s3_ask ask = {
        .method = "PUT",
        .key = put->key,
        .body = {put->part, put->part_len},
    };
    s3_ask_object(put->s3, &ask);
    if (put->takes.conditions) {
        s3_ask_condition(&ask);
    }
    if (put->takes.sums) {
        s3_ask_header(&ask, "x-amz-checksum-sha256", str_of(put->checksum));
    }
    CRASHPOINT_IF(!put->how, "s3_small_before");
    put->call = s3_send(put->s3, &ask, on_small, put);
    if (!put->call) {
        no_memory(put);
    }
}

/* ---- the upload ---- */

static void on_created(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    struct buf id;
    assert(put->call && put->creating && !put->upload_id[0]);
    size_t at = 0;
    put->call = NULL;
    put->creating = false;
    CRASHPOINT_IF(end->verdict == S3_DONE && !put->how, "s3_create_after");
    CRASHPOINT_IF(end->verdict == S3_DONE && put->how, "s3_probe_created");
    if (end->verdict != S3_DONE) {
        if (!try_again(put, end)) {
            s3_put_note(put, end);
            give_up(put, s3_last_end(end), end->why);
        }
        return;
    }
    buf_init(&id, 0);
    s3_xml_decode(&id, s3_xml(end->body, "UploadId", &at));
    const bool starved = id.failed;
    bool good = id.len > 0 && id.len < S3_UPLOAD_ID_BYTES && !starved;
    if (good) {
        memcpy(put->upload_id, id.bytes, id.len);
        put->upload_id[id.len] = '\0';
    }
    buf_done(&id);
    put->tries = 0;
    if (starved) {
        no_memory(put);
    } else if (!good) {
        give_up(put, BUCKET_FAILED, "S3 gave an upload without an id");
    } else if (put->cancelled || put->refused) {
        give_up(put, put->cancelled ? BUCKET_CANCELLED : BUCKET_FAILED,
                put->cancelled ? "cancelled" : put->refused);
    } else {
        turn(put);
    }
}

static void send_create(struct s3_put *put)
{
    assert(!put->call && !put->creating && !put->upload_id[0]);
    struct s3_ask ask = {
        .method = "POST", .key = put->key, .query = STR("uploads=")};
    s3_ask_object(put->s3, &ask);
    if (put->takes.sums) {
        s3_ask_header(&ask, "x-amz-checksum-algorithm", STR("SHA256"));
    }
    put->call = s3_send(put->s3, &ask, on_created, put);
    CRASHPOINT_IF(!put->how, "s3_create_sent");
    put->creating = put->call != NULL;
    if (!put->call) {
        no_memory(put);
    }
}

static bool add_part(struct s3_put *put, const char *etag)
{
    assert(put->parts_len < put->parts_size && put->part_len > 0);
    struct s3_part *part = &put->parts[put->parts_len];
    if (etag[0] == '\0' || strlen(etag) >= sizeof part->etag ||
        strpbrk(etag, "<>&")) {
        return false;
    }
    snprintf(part->etag, sizeof part->etag, "%s", etag);
    put->parts_len++;
    put->part_len = 0;
    return true;
}

static void on_part(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    assert(put->call && put->upload_id[0]);
    put->call = NULL;
    if (end->verdict != S3_DONE) {
        if (!try_again(put, end)) {
            s3_put_note(put, end);
            give_up(put, s3_last_end(end), end->why);
        }
        return;
    }
    put->tries = 0;
    CRASHPOINT_IF(!put->how, "s3_part_after");
    if (!add_part(put, end->etag)) {
        give_up(put, BUCKET_FAILED, "S3 took a part without naming it");
        return;
    }
    turn(put);
}

static void send_part(struct s3_put *put)
{
    assert(!put->call && put->upload_id[0] && put->part_len > 0);
    assert(put->parts_len < S3_PARTS_MAX);
    char before[40];
    struct buf query;
    if (put->parts_len == put->parts_size) {
        size_t size = put->parts_size ? 2 * put->parts_size : 16;
        struct s3_part *grown = realloc(put->parts, size * sizeof *put->parts);
        if (!grown) {
            no_memory(put);
            return;
        }
        put->parts = grown;
        put->parts_size = size;
    }
    struct s3_part *part = &put->parts[put->parts_len];
    struct s3_ask ask = {
        .method = "PUT",
        .key = put->key,
        .body = {put->part, put->part_len},
    };
    part->checksum[0] = '\0';
    if (put->takes.sums) {
        unsigned char sum[DIGEST_BYTES];
        digest_of(ask.body, sum);
        s3_base64(sum, part->checksum);
        s3_ask_header(&ask, "x-amz-checksum-sha256", str_of(part->checksum));
    } else if (!put->s3->url.checksum && put->takes.body != S3_HASHED) {
        ask.payload = SIGV4_UNSIGNED;
    }
    snprintf(before, sizeof before, "partNumber=%zu&", put->parts_len + 1);
    ask_upload(put, before, &query, &ask);
    put->call = s3_send(put->s3, &ask, on_part, put);
    buf_done(&query);
    if (!put->call) {
        no_memory(put);
    }
}

/* ---- its end ---- */

static void on_completed(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    assert(put->call && put->upload_id[0]);
    put->call = NULL;
    buf_done(&put->list);
    if (end->verdict == S3_DONE) {
        CRASHPOINT_IF(!put->how, "s3_complete_after");
        s3_put_note(put, end);
        put->upload_id[0] = '\0';
        if (!put->how) { /* a probe puts the same key again at once */
            s3_sweep_key(put->s3, put->key);
        }
        s3_speed_up(put->s3);
        s3_put_end(put, BUCKET_DONE, "");
    } else if (end->verdict == S3_EXISTS) {
        s3_sweep_key(put->s3, put->key);
        give_up(put, BUCKET_EXISTS, end->why);
    } else if (end->verdict == S3_MISSING) {
        put->upload_id[0] = '\0'; /* completed unheard, or aborted */
        s3_put_look(put, end->why);
    } else if (!try_again(put, end)) {
        s3_put_note(put, end);
        give_up(put, s3_last_end(end), end->why);
    }
}

static void send_complete(struct s3_put *put)
{
    assert(!put->call && put->finishing && put->parts_len > 0);
    struct buf query;
    buf_init(&put->list, 0);
    buf_add_text(&put->list, "<CompleteMultipartUpload xmlns=\"http://s3."
                             "amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < put->parts_len; i++) {
        const struct s3_part *part = &put->parts[i];
        buf_printf(&put->list,
                   "<Part><PartNumber>%zu</PartNumber><ETag>%s"
                   "</ETag>",
                   i + 1, part->etag);
        if (part->checksum[0]) {
            buf_printf(&put->list, "<ChecksumSHA256>%s</ChecksumSHA256>",
                       part->checksum);
        }
        buf_add_text(&put->list, "</Part>");
    }
    buf_add_text(&put->list, "</CompleteMultipartUpload>");
    struct s3_ask ask = {.method = "POST", .key = put->key};
    s3_ask_body(&ask, &put->list);
    if (put->takes.ends_conditions) {
        s3_ask_condition(&ask);
    }
    s3_ask_header(&ask, "content-type", STR("application/xml"));
    ask_upload(put, "", &query, &ask);
    CRASHPOINT_IF(!put->how, "s3_complete_before");
    put->call = s3_send(put->s3, &ask, on_completed, put);
    buf_done(&query);
    if (!put->call) {
        buf_done(&put->list);
        no_memory(put);
    }
}

/* ---- turns ---- */

/** Without conditions, what is there is looked for before the last step. */
static void on_looked_first(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    assert(put->call && !put->looked);
    put->call = NULL;
    if (end->verdict == S3_DONE) {
        give_up(put, BUCKET_EXISTS, "it is there");
    } else if (end->verdict != S3_MISSING) {
        give_up(put, s3_last_end(end), end->why);
    } else {
        put->looked = true;
        turn(put);
    }
}

static void look_first(struct s3_put *put)
{
    assert(!put->call && !put->looked);
    const struct s3_ask ask = {.method = "HEAD", .key = put->key};
    put->call = s3_send(put->s3, &ask, on_looked_first, put);
    if (!put->call) {
        no_memory(put);
    }
}

static void last_step(struct s3_put *put)
{
    assert(put->finishing && put->fifo.len == 0 && !put->call);
    bool small = !put->upload_id[0] && !(put->how && put->how->parts);
    bool guarded = small ? put->takes.conditions : put->takes.ends_conditions;
    if (!guarded && !put->looked) {
        look_first(put);
    } else if (small) {
        send_small(put);
    } else if (!put->upload_id[0]) {
        send_create(put);
    } else if (put->part_len > 0) {
        send_part(put);
    } else {
        send_complete(put);
    }
}

static void turn(struct s3_put *put)
{
    assert(put->way == &s3_parts);
    if (is_giving_up(put) || put->creating) {
        /* its end is on the way; an upload must be known to be aborted */
        return;
    }
    if (put->cancelled || put->refused) {
        give_up(put, put->cancelled ? BUCKET_CANCELLED : BUCKET_FAILED,
                put->cancelled ? "cancelled" : put->refused);
        return;
    }
    int64_t wait_ms = put->again_ms - loop_boot_ms(put->s3->loop);
    if (!put->call && wait_ms > 0) {
        loop_timer_set(put->soon, wait_ms);
        return;
    }
    if (put->call || !take_buffer(put)) {
        return;
    }
    fill(put);
    if (put->said_no && has_room(put)) {
        loop_timer_set(put->soon, 0);
    }
    /* From here on, it may end for want of memory, and be gone. */
    if (put->finishing && put->fifo.len == 0) {
        last_step(put);
    } else if (put->part_len == put->s3->part_bytes && put->fifo.len > 0) {
        if (put->upload_id[0]) {
            send_part(put);
        } else {
            send_create(put);
        }
    }
}

static bool begin(struct s3_put *put)
{
    assert(!put->call && !put->part);
    return true; /* the first bytes do */
}

static void on_more(struct s3_put *put)
{
    loop_timer_set(put->soon, 0);
}

const struct s3_way s3_parts = {
    .begin = begin,
    .has_room = has_room,
    .on_more = on_more,
    .turn = turn,
    .done = done,
};
