#include "strike.h"

#include "fault_body.h"

#include <stdlib.h>

enum {
    FLOOD_BYTES = 1024 * 1024,
    FLOOD_REPLIES = 1000,
    BOMB_BYTES = 32 * 1024 * 1024,
    GARBAGE_BYTES = 100000,
    SLOW_MS = 1000,
};

/* ---- how a connection ends ---- */

static void end_silently(struct site *site, enum reply_end end)
{
    reply_no_body(site->reply);
    site->reply->status = 0;
    site->reply->end = end;
}

void strike_close(const struct fault *fault, struct site *site)
{
    (void)fault;
    end_silently(site, END_CLOSE);
}

void strike_reset(const struct fault *fault, struct site *site)
{
    (void)fault;
    end_silently(site, END_RESET);
}

void strike_stall(const struct fault *fault, struct site *site)
{
    end_silently(site, END_HANG);
    site->reply->hang_ms = (uint32_t)given(fault->delay_ms, 0);
}

void strike_then_reset(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->end = END_RESET;
}

void strike_then_close(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->end = END_CLOSE;
}

/* ---- how fast, and how long ---- */

void strike_delay(const struct fault *fault, struct site *site)
{
    site->reply->delay_ms = (uint32_t)given(fault->delay_ms, SLOW_MS);
}

void strike_slow_body(const struct fault *fault, struct site *site)
{
    const int64_t ms = given(fault->delay_ms, SLOW_MS);
    const int64_t bytes = given(fault->bytes, 1);
    site->reply->pace_ms = ms > 0 ? (uint32_t)ms : 1;
    site->reply->pace_bytes = bytes > 0 ? (uint32_t)bytes : 1;
}

void strike_slow_headers(const struct fault *fault, struct site *site)
{
    strike_slow_body(fault, site);
    site->reply->pace_head = true;
}

void strike_header_flood(const struct fault *fault, struct site *site)
{
    const uint64_t bytes = (uint64_t)given(fault->bytes, FLOOD_BYTES);
    struct buf *head = &site->reply->head;
    for (uint64_t i = 0; head->len < bytes; i++) {
        buf_printf(head, "X-Flood-%llu: %0900d\r\n", (unsigned long long)i, 0);
    }
}

void strike_informational(const struct fault *fault, struct site *site)
{
    site->reply->informational = (uint32_t)given(fault->number, FLOOD_REPLIES);
}

/** Fewer bytes than announced. */
void strike_short(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    const uint64_t cut = (uint64_t)given(fault->bytes, (int64_t)(whole / 2));
    site->reply->length = LENGTH_FALSE;
    site->reply->length_told = whole;
    site->reply->body_bytes_max = cut < whole ? cut : whole;
    site->reply->end = END_CLOSE;
}

void strike_no_length(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->length = LENGTH_NONE;
    site->reply->end = END_CLOSE;
}

void strike_early_close(const struct fault *fault, struct site *site)
{
    strike_short(fault, site);
    site->reply->length = LENGTH_NONE;
}

/** More bytes than announced. */
void strike_longer(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    const uint64_t told = (uint64_t)given(fault->bytes, (int64_t)(whole / 2));
    site->reply->length = LENGTH_FALSE;
    site->reply->length_told = told < whole ? told : whole / 2;
    site->reply->end = END_CLOSE;
}

void strike_chunked(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->length = LENGTH_CHUNKED;
}

void strike_bad_chunked(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->length = LENGTH_CHUNKED_BAD;
    site->reply->end = END_CLOSE;
}

/* ---- how a video comes ---- */

void strike_different(const struct fault *fault, struct site *site)
{
    site->file_salt = (uint64_t)fault->hits;
}

/** The true bytes of the answer, made now. */
static void made_body(struct site *site, struct buf *out)
{
    struct reply *reply = site->reply;
    const uint64_t len = reply_body_bytes(reply);
    buf_init(out, 0);
    if (!reply->fill) {
        buf_add(out, reply->body.bytes, (size_t)len);
        return;
    }
    char *room = buf_room(out, (size_t)len);
    if (!room) {
        abort();
    }
    reply->fill(reply->fill_context, 0, room, (size_t)len);
    buf_took(out, (size_t)len);
}

void strike_gzip(const struct fault *fault, struct site *site)
{
    struct buf whole;
    (void)fault;
    made_body(site, &whole);
    struct buf *out = new_body(site, site->reply->type);
    fault_body_gzip(out, whole.bytes, whole.len);
    reply_header(site->reply, "Content-Encoding", "gzip");
    buf_done(&whole);
}

void strike_gzip_bomb(const struct fault *fault, struct site *site)
{
    fault_body_gzip_bomb(new_body(site, site->reply->type),
                         (uint64_t)given(fault->bytes, BOMB_BYTES));
    reply_header(site->reply, "Content-Encoding", "gzip");
}

/** A label on bytes that are as they were. */
void strike_coding(const struct fault *fault, struct site *site)
{
    reply_header(site->reply, "Content-Encoding",
                 given_text(fault->text, "aws-chunked"));
}

void strike_garbage(const struct fault *fault, struct site *site)
{
    const uint64_t bytes = (uint64_t)given(fault->bytes, GARBAGE_BYTES);
    struct buf *out = new_body(site, "video/mp4");
    for (uint64_t i = 0; i < bytes; i++) {
        buf_add_char(out, (char)(i * 31 + 7));
    }
}

void strike_partial(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    (void)fault;
    if (site->reply->status != 200) {
        return;
    }
    site->reply->status = 206;
    site->reply->body_bytes_max = whole / 2;
    buf_printf(&site->reply->head, "Content-Range: bytes 0-%llu/%llu\r\n",
               (unsigned long long)(whole / 2 - 1), (unsigned long long)whole);
}

void strike_whole_part(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    (void)fault;
    if (site->reply->status == 200 && whole > 0) {
        site->reply->status = 206;
        buf_printf(&site->reply->head, "Content-Range: bytes 0-%llu/%llu\r\n",
                   (unsigned long long)(whole - 1), (unsigned long long)whole);
    }
}

void strike_redirect(const struct fault *fault, struct site *site)
{
    struct buf *out = new_body(site, "text/html");
    buf_add_text(out, "<html><body>Moved</body></html>");
    site->reply->status = (int)(fault->status ? fault->status : 302);
    reply_header(site->reply, "Location",
                 given_text(fault->url, "http://169.254.169.254/latest/"));
}

void strike_redirect_loop(const struct fault *fault, struct site *site)
{
    struct buf *out = new_body(site, "text/html");
    const struct str path = site->request->path;
    buf_add_text(out, "<html><body>Moved</body></html>");
    site->reply->status = (int)(fault->status ? fault->status : 302);
    buf_printf(&site->reply->head, "Location: %s%.*s\r\n", site->world->base,
               (int)path.len, path.at);
}
