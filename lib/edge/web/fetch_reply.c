#include "edge/web/fetch_own.h"

#include "core/content_range.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PIECE_BYTES 16384 /* of a body whose coding is undone */
#define PACKED_MORE ((int64_t)1 << 20)
/* of a reply that is no video; the rest is cut */
#define ERROR_BODY_MAX 65536

bool fetch_forbid(struct fetch *fetch, const char *why)
{
    fetch->forbidden = true;
    snprintf(fetch->why, sizeof fetch->why, "%s", why);
    return false;
}

bool fetch_allows_private(const struct fetch *fetch)
{
    return fetch->fetcher->options.allow_private;
}

/** The last of a list: the outermost coding. */
static struct str last_of(struct str list)
{
    const char *comma = list.len ? memrchr(list.at, ',', list.len) : NULL;
    if (!comma) {
        return list;
    }
    const size_t at = (size_t)(comma - list.at) + 1;
    return str_trim((struct str){list.at + at, list.len - at});
}

/** Whether the decoder has found a coding. */
static bool is_coded(const struct fetch *fetch)
{
    return fetch->decoder && !decoder_is_plain(fetch->decoder);
}

static bool cant_decode(struct fetch *fetch, const char *what)
{
    fetch->encoded = true;
    snprintf(fetch->why, sizeof fetch->why,
             "the video came in the content coding \"%s\", which %s; nobody "
             "asked for one",
             fetch->coding, what);
    return false;
}

/** A 206 to a question without Range: whether it has all bytes, how many. */
static bool is_whole_part(const struct fetch *fetch, int64_t *length)
{
    int64_t whole = 0;
    char range[96];
    web_call_copy(&fetch->web, "Content-Range", range, sizeof range);
    if (!content_range_is_whole(str_of(range), &whole) ||
        (*length >= 0 && *length != whole)) {
        return false;
    }
    *length = whole;
    return true;
}

static bool tell_head(struct fetch *fetch)
{
    const int status = web_call_status(&fetch->web);
    int64_t length = web_call_length(&fetch->web);
    fetch->head_told = true;
    if (status == 206 && !is_whole_part(fetch, &length)) {
        fetch->partial = true;
        snprintf(fetch->why, sizeof fetch->why,
                 "the video came as a part that was not asked for");
        return false;
    }
    fetch->length = is_coded(fetch) ? -1 : length;
    if (fetch->length > fetch->fetcher->options.bytes_max) {
        fetch->too_large = true;
        return false;
    }
    const struct str type = web_call_header(&fetch->web, "Content-Type");
    fetch->refused =
        !fetch->hooks->on_head(fetch->context, status, fetch->length, type);
    return !fetch->refused;
}

/** Bytes of the video, for the reader; false: no more of them. */
static bool hand_over(struct fetch *fetch, const char *bytes, size_t len)
{
    if (!fetch->head_told && !tell_head(fetch)) {
        return false;
    }
    if (fetch->bytes + (int64_t)len > fetch->fetcher->options.bytes_max) {
        fetch->too_large = true;
        return false;
    }
    fetch->bytes += (int64_t)len;
    if (!fetch->hooks->on_data(fetch->context, bytes, len)) {
        web_call_wait(&fetch->web);
    }
    return true;
}

/** The same for a body with a label: what the decoder makes of it. A reader
 * that pauses in the middle has libcurl bring these bytes again. */
static enum web_taken hand_over_decoded(struct fetch *fetch, const char *bytes,
                                        size_t len)
{
    if (fetch->skip > len) {
        fetch->skip -= len;
        return WEB_TAKEN;
    }
    struct str in = {bytes + fetch->skip, len - fetch->skip};
    fetch->skip = 0;
    /* What is packed is no longer than what it holds, give or take; what comes
     * without end and holds nothing would keep its slot for ever. */
    fetch->packed += (int64_t)in.len;
    if (fetch->packed > fetch->fetcher->options.bytes_max + PACKED_MORE) {
        fetch->too_large = true;
        return WEB_REFUSED;
    }
    for (;;) {
        char piece[PIECE_BYTES];
        size_t n = 0;
        const enum decode_end end =
            decoder_turn(fetch->decoder, &in, false, piece, sizeof piece, &n);
        if (n > 0 && !hand_over(fetch, piece, n)) {
            return WEB_REFUSED;
        }
        if (end == DECODE_BAD) {
            cant_decode(fetch, "can't be undone");
            return WEB_REFUSED;
        }
        if (end == DECODE_MORE) {
            return WEB_TAKEN;
        }
        if (fetch->web.waits) {
            fetch->skip = (size_t)(in.at - bytes);
            fetch->packed -= (int64_t)in.len; /* these come again */
            return WEB_AGAIN;
        }
    }
}

/** The outermost coding, as the header has it. */
static void read_coding(struct fetch *fetch)
{
    char list[512];
    web_call_list(&fetch->web, "Content-Encoding", list, sizeof list);
    const struct str last = last_of(str_of(list));
    snprintf(fetch->coding, sizeof fetch->coding, "%.*s", (int)last.len,
             last.len ? last.at : "");
    decode_label_show(fetch->coding);
}

static bool needs_decoder(const struct fetch *fetch)
{
    return fetch->coding[0] &&
           !str_eq_nocase(str_of(fetch->coding), STR("identity"));
}

enum web_taken fetch_take(struct fetch *fetch, const char *bytes, size_t len)
{
    assert(len > 0);
    const int status = web_call_status(&fetch->web);
    if (status < 200 || status > 299) {
        fetch->error_bytes += (int64_t)len;
        return fetch->error_bytes <= ERROR_BODY_MAX ? WEB_TAKEN : WEB_REFUSED;
    }
    if (!fetch->begun) {
        fetch->begun = true;
        read_coding(fetch);
        fetch->decoder =
            needs_decoder(fetch) ? decoder_new(str_of(fetch->coding)) : NULL;
        if (needs_decoder(fetch) && !fetch->decoder) {
            cant_decode(fetch, "there was no memory to undo");
            return WEB_REFUSED;
        }
    }
    if (fetch->decoder) {
        return hand_over_decoded(fetch, bytes, len);
    }
    return hand_over(fetch, bytes, len) ? WEB_TAKEN : WEB_REFUSED;
}

/** The body is over: what the decoder still has, and whether that was all. */
static void finish_decoder(struct fetch *fetch)
{
    char piece[PIECE_BYTES];
    struct str none = {"", 0};
    size_t n = 0;
    const enum decode_end end =
        decoder_turn(fetch->decoder, &none, true, piece, sizeof piece, &n);
    if (end == DECODE_BAD) {
        cant_decode(fetch, "can't be undone");
    } else if (n > 0 && !hand_over(fetch, piece, n)) {
        return;
    } else if (is_coded(fetch) && !decoder_is_done(fetch->decoder)) {
        cant_decode(fetch, "ends in its middle");
    } else if (is_coded(fetch)) {
        fetch->length = fetch->bytes; /* its own end proves it whole */
    }
}

void fetch_finish_body(struct fetch *fetch)
{
    if (fetch->decoder) {
        finish_decoder(fetch);
    }
    if (!fetch->head_told && !fetch->encoded) {
        tell_head(fetch); /* an empty body calls nobody */
    }
}
