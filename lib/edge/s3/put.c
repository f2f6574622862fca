#include "edge/s3/put.h"

#include "base/crashpoint.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_BYTES ((size_t)128 << 10) /* wait unsent: no more, please */
#define ROOM_BYTES ((size_t)64 << 10)  /* and more again */
#define BROKEN_OFF_MAX 2 /* puts in a row, though all else is answered */
#define CHECKSUM_NAME "x-amz-checksum-sha256"

/* ---- bytes that wait ---- */

bool s3_fifo_add(struct s3_fifo *fifo, const char *bytes, size_t len)
{
    assert(fifo->at + fifo->len <= fifo->size);
    if (fifo->at + fifo->len + len > fifo->size && fifo->at > 0) {
        memmove(fifo->bytes, fifo->bytes + fifo->at, fifo->len);
        fifo->at = 0;
    }
    if (fifo->len + len > fifo->size) {
        size_t size = fifo->len + len;
        size = size < FULL_BYTES ? FULL_BYTES : size;
        char *grown = realloc(fifo->bytes, size);
        if (!grown) {
            return false;
        }
        fifo->bytes = grown;
        fifo->size = size;
    }
    memcpy(fifo->bytes + fifo->at + fifo->len, bytes, len);
    fifo->len += len;
    return true;
}

void s3_fifo_take(struct s3_fifo *fifo, char *out, size_t len)
{
    assert(len <= fifo->len);
    if (len > 0) {
        memcpy(out, fifo->bytes + fifo->at, len);
    }
    fifo->at += len;
    fifo->len -= len;
    fifo->at = fifo->len ? fifo->at : 0;
}

/* ---- the body of one PUT ---- */

static bool is_framed(const struct s3_put *put)
{
    return put->takes.body == S3_FRAMED;
}

/** Over TLS the body needs no signature of its own. */
static bool is_signed(const struct s3_put *put)
{
    return is_framed(put) && !put->s3->secure;
}

static void frame(struct s3_put *put, const char *text)
{
    put->frame_at = 0;
    put->frame_len =
        (size_t)snprintf(put->frame, sizeof put->frame, "%s", text);
}

static void begin_chunk(struct s3_put *put, size_t size)
{
    char head[160];
    put->chunk_left = size;
    put->sent += (int64_t)size;
    if (is_signed(put)) {
        sigv4_chain_chunk(&put->chain, put->fifo.bytes + put->fifo.at, size);
        snprintf(head, sizeof head, "%zx;chunk-signature=%s\r\n", size,
                 put->chain.last);
        frame(put, head);
    } else if (is_framed(put)) {
        snprintf(head, sizeof head, "%zx\r\n", size);
        frame(put, head);
    }
}

/** The empty chunk and the checksum behind it. */
static void begin_trailer(struct s3_put *put)
{
    char text[300];
    put->trailed = true;
    if (is_signed(put)) {
        char line[100];
        char last[SIGV4_HEX_BYTES];
        int len =
            snprintf(line, sizeof line, CHECKSUM_NAME ":%s\n", put->checksum);
        sigv4_chain_chunk(&put->chain, "", 0);
        memcpy(last, put->chain.last, sizeof last);
        sigv4_chain_trailer(&put->chain, (struct str){line, (size_t)len});
        snprintf(text, sizeof text,
                 "0;chunk-signature=%s\r\n" CHECKSUM_NAME
                 ":%s\r\nx-amz-trailer-signature:%s\r\n\r\n",
                 last, put->checksum, put->chain.last);
    } else {
        snprintf(text, sizeof text, "0\r\n" CHECKSUM_NAME ":%s\r\n\r\n",
                 put->checksum);
    }
    frame(put, text);
}

static size_t hex_len(size_t value)
{
    return (size_t)snprintf(NULL, 0, "%zx", value);
}

/** What the body measures with all that stands between its data. */
static int64_t wire_bytes(const struct s3_put *put)
{
    if (!is_framed(put)) {
        return put->announced;
    }
    size_t around = 2 + 2 + (is_signed(put) ? 17 + 64 : 0);
    int64_t full = put->announced / (int64_t)S3_CHUNK_BYTES;
    size_t rest = (size_t)(put->announced % (int64_t)S3_CHUNK_BYTES);
    int64_t bytes =
        put->announced + full * (int64_t)(hex_len(S3_CHUNK_BYTES) + around);
    bytes += rest ? (int64_t)(hex_len(rest) + around) : 0;
    size_t tail = strlen("0\r\n" CHECKSUM_NAME ":\r\n\r\n") + 44;
    tail += is_signed(put)
                ? 17 + 64 + strlen("x-amz-trailer-signature:\r\n") + 64
                : 0;
    return bytes + (int64_t)tail;
}

/** A chunk goes once it is whole; the last one once the video is good. */
static bool next_piece(struct s3_put *put)
{
    int64_t left = put->announced - put->sent;
    if (left == 0) {
        if (!is_framed(put) || put->trailed) {
            return false;
        }
        begin_trailer(put);
        return true;
    }
    bool last = left <= (int64_t)S3_CHUNK_BYTES;
    size_t size = last ? (size_t)left : S3_CHUNK_BYTES;
    if (put->fifo.len < size || (last && !put->finishing)) {
        return false;
    }
    begin_chunk(put, size);
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t on_source(void *context, char *out, size_t room)
{
    struct s3_put *put = context;
    size_t done = 0;
    while (done < room) {
        if (put->frame_at < put->frame_len) {
            size_t n = least(put->frame_len - put->frame_at, room - done);
            memcpy(out + done, put->frame + put->frame_at, n);
            put->frame_at += n;
            done += n;
        } else if (put->chunk_left > 0) {
            size_t n = least(put->chunk_left, room - done);
            s3_fifo_take(&put->fifo, out + done, n);
            put->chunk_left -= n;
            done += n;
            if (put->chunk_left == 0 && is_framed(put)) {
                frame(put, "\r\n");
            }
        } else if (!next_piece(put)) {
            break;
        }
    }
    if (put->said_no && put->fifo.len < ROOM_BYTES) {
        loop_timer_set(put->soon, 0);
    }
    return done;
}

/* ---- ends ---- */

void s3_put_drop(struct s3_put *put)
{
    assert(put->s3->puts > 0);
    s3_drop(put->call);
    s3_parts_done(put);
    list_remove(&put->learning);
    put->s3->puts--;
    loop_timer_free(put->soon);
    free(put->fifo.bytes);
    free(put);
}

static void tell_end(struct s3_put *put, enum bucket_end end, const char *why)
{
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
    s3_parts_done(put); /* the probe may need its buffer */
    s3_learn(put);
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

static bool send_look(struct s3_put *put, s3_end_fn *on_end)
{
    const struct s3_ask ask = {.method = "HEAD", .key = put->key};
    put->call = s3_send(put->s3, &ask, on_end, put);
    return put->call != NULL;
}

void s3_put_look(struct s3_put *put, const char *why)
{
    snprintf(put->why, sizeof put->why, "%s", why);
    if (!send_look(put, on_looked)) {
        s3_put_starves(put);
        s3_put_end(put, BUCKET_FAILED, why);
    }
}

static void on_stored(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    put->call = NULL;
    CRASHPOINT_IF(end->verdict == S3_DONE && !put->how, "s3_put_after");
    if (end->verdict == S3_DONE && !put->finishing) {
        s3_put_end(put, BUCKET_FAILED, "S3 took half a video for a whole one");
        return;
    }
    s3_put_note(put, end);
    if (end->lost) {
        s3_put_look(put, end->why);
        return;
    }
    if (end->verdict == S3_DONE) {
        s3_speed_up(put->s3);
    }
    s3_put_end(put, s3_bucket_end(end->verdict), end->why);
}

/* ---- begin ---- */

static bool send_put(struct s3_put *put)
{
    char bytes[24];
    struct s3_ask ask = {
        .method = "PUT",
        .key = put->key,
        .payload = is_signed(put)   ? SIGV4_CHUNKS_TRAILER
                   : is_framed(put) ? SIGV4_UNSIGNED_TRAILER
                                    : SIGV4_UNSIGNED,
        .source = on_source,
        .source_bytes = wire_bytes(put),
        .chain = is_signed(put) ? &put->chain : NULL,
    };
    s3_ask_object(put->s3, &ask);
    if (put->takes.conditions) {
        s3_ask_condition(&ask);
    }
    if (is_framed(put)) {
        /* No content-encoding: the payload's word says it all, and some stores
         * keep that header with the object. */
        snprintf(bytes, sizeof bytes, "%lld", (long long)put->announced);
        s3_ask_header(&ask, "x-amz-decoded-content-length", str_of(bytes));
        s3_ask_header(&ask, "x-amz-trailer", STR(CHECKSUM_NAME));
    }
    put->call = s3_send(put->s3, &ask, on_stored, put);
    CRASHPOINT_IF(!put->how, "s3_put_begun");
    return put->call != NULL;
}

/** Without conditions, what is there is looked for before. */
static void on_looked_before(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    put->call = NULL;
    if (end->verdict == S3_DONE) {
        s3_put_end(put, BUCKET_EXISTS, "it is there");
    } else if (end->verdict != S3_MISSING) {
        s3_put_end(put, s3_last_end(end), end->why);
    } else if (!send_put(put)) {
        s3_put_starves(put);
        s3_put_end(put, BUCKET_FAILED, "no memory for a call to S3");
    }
}

static void on_soon(void *context)
{
    struct s3_put *put = context;
    if (!list_is_empty(&put->learning)) {
        return; /* its end comes with the probe's */
    }
    if (!put->in_parts && put->cancelled) {
        s3_put_end(put, BUCKET_CANCELLED, "cancelled");
        return;
    }
    if (!put->in_parts && put->refused) {
        s3_put_end(put, BUCKET_FAILED, put->refused);
        return;
    }
    bool room = put->in_parts ? s3_parts_room(put) : put->fifo.len < ROOM_BYTES;
    if (put->said_no && room && !put->cancelled && !put->refused) {
        put->said_no = false;
        put->on_ready(put->context); /* it may write, finish or cancel */
    }
    if (put->in_parts) {
        s3_parts_turn(put);
    }
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
    if (put->refused || put->in_parts) {
        loop_timer_set(put->soon, 0);
    } else if (put->call) {
        s3_more(put->call);
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
    } else if (!hashed && (is_framed(put) || put->takes.sums)) {
        put->refused = "its hash is not known";
    } else if (hashed) {
        snprintf(put->sha256, sizeof put->sha256, "%s", sha256);
    }
    if (put->refused || put->in_parts) {
        loop_timer_set(put->soon, 0);
    } else if (put->call) {
        s3_more(put->call);
    }
}

void s3_put_cancel(struct put *base)
{
    struct s3_put *put = (struct s3_put *)(void *)base;
    put->cancelled = true;
    loop_timer_set(put->soon, 0);
}

struct put *s3_put_as(struct s3 *s3, struct str key, int64_t bytes,
                      struct s3_how *how, loop_fn *on_ready, bucket_fn *on_end,
                      void *context, struct err *err)
{
    assert(bytes >= -1);
    struct s3_put *put = calloc(1, sizeof *put);
    if (put) {
        assert(key.len < sizeof put->key_text);
        put->base.kind = &bucket_s3_kind;
        put->s3 = s3;
        put->on_ready = on_ready;
        put->on_end = on_end;
        put->context = context;
        put->how = how;
        put->takes = how ? how->takes : s3->takes;
        put->announced = bytes > 0 ? bytes : -1;
        put->in_parts = bytes <= 0 || bytes > S3_PUT_BYTES_MAX ||
                        put->takes.body == S3_HASHED;
        memcpy(put->key_text, key.at, key.len);
        put->key = (struct str){put->key_text, key.len};
        put->soon = loop_timer_new(s3->loop, on_soon, put);
        list_init(&put->want);
        list_init(&put->learning);
    }
    bool begun = put && put->soon &&
                 (put->in_parts ||
                  (put->takes.conditions ? send_put(put)
                                         : send_look(put, on_looked_before)));
    if (!begun) {
        if (put) {
            loop_timer_free(put->soon);
        }
        free(put);
        err_set(err, ERR_TRANSIENT, "no memory for an object");
        return NULL;
    }
    s3->puts++;
    return &put->base;
}

struct put *s3_put(struct bucket *base, struct str key, int64_t bytes,
                   loop_fn *on_ready, bucket_fn *on_end, void *context,
                   struct err *err)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    char text[S3_KEY_BYTES_MAX];
    if (bytes > s3->bytes_max) {
        err_set(err, ERR_PERMANENT, "%lld bytes, allowed: %lld",
                (long long)bytes, (long long)s3->bytes_max);
        return NULL;
    }
    if (s3->puts >= s3->pace) {
        err_set(err, ERR_TRANSIENT, "S3 asked for less at once");
        return NULL;
    }
    struct put *put = s3_put_as(s3, s3_key(s3, key, text, sizeof text), bytes,
                                NULL, on_ready, on_end, context, err);
    if (put) {
        ((struct s3_put *)(void *)put)->limited = true;
    }
    return put;
}
