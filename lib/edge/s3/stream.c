#include "edge/s3/stream.h"

#include "base/crashpoint.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CHECKSUM_NAME "x-amz-checksum-sha256"

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
    assert(put->frame_at == put->frame_len);
    assert(strlen(text) < sizeof put->frame);
    put->frame_at = 0;
    put->frame_len =
        (size_t)snprintf(put->frame, sizeof put->frame, "%s", text);
}

static void begin_chunk(struct s3_put *put, size_t size)
{
    assert(size > 0 && size <= put->fifo.len);
    assert(put->chunk_left == 0);
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
    assert(!put->trailed && put->sent == put->announced);
    assert(is_framed(put));
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
    assert(put->announced > 0);
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
    assert(put->sent <= put->announced && put->chunk_left == 0);
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
    if (put->said_no && put->fifo.len < S3_ROOM_BYTES) {
        loop_timer_set(put->soon, 0);
    }
    return done;
}

/* ---- the call ---- */

static void on_stored(void *context, const struct s3_end *end)
{
    struct s3_put *put = context;
    assert(put->call);
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

static bool send_put(struct s3_put *put)
{
    assert(!put->call && put->announced > 0 && put->sent == 0);
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
    assert(put->call);
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

/* ---- the way ---- */

static bool begin(struct s3_put *put)
{
    assert(put->announced > 0 && !put->call);
    return put->takes.conditions ? send_put(put)
                                 : s3_put_ask(put, on_looked_before);
}

static bool has_room(const struct s3_put *put)
{
    return put->fifo.len < S3_ROOM_BYTES;
}

static void on_more(struct s3_put *put)
{
    if (put->call) {
        s3_more(put->call);
    }
}

static void turn(struct s3_put *put)
{
    if (put->cancelled) {
        s3_put_end(put, BUCKET_CANCELLED, "cancelled");
    } else if (put->refused) {
        s3_put_end(put, BUCKET_FAILED, put->refused);
    }
}

const struct s3_way s3_stream = {
    .begin = begin,
    .has_room = has_room,
    .on_more = on_more,
    .turn = turn,
};
