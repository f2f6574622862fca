#include "edge/web/decode.h"

#include <assert.h>
#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define HEAD_BYTES 16 /* enough to tell a coding from what is none */
#define LAYERS_MAX 3  /* codings over each other */
#define PIECE_BYTES 16384
#define GZIP_BITS (15 + 16)
#define ZLIB_BITS 15
#define DEFLATE_BITS (-15) /* without any head: some servers' "deflate" */

#define ZSTD_WINDOW_LOG 23 /* 8 MiB, as RFC 8878 3.1.1.1.2 advises */

enum coding {
    CODING_OPEN, /* not decided yet */
    CODING_PLAIN,
    CODING_GZIP,
    CODING_ZLIB,
    CODING_DEFLATE,
    CODING_BROTLI,
    CODING_ZSTD,
    CODING_UNKNOWN,
};

struct decoder {
    char label[32];
    enum coding coding;
    char head[HEAD_BYTES];
    size_t head_len;
    size_t head_at; /* taken of it */
    bool done;      /* a coded stream has ended */
    bool bad;
    z_stream zlib;
    bool zlib_open;
    BrotliDecoderState *brotli;
    ZSTD_DStream *zstd;
};

/* ---- what it is ---- */

static bool label_is(struct str label, const char *name)
{
    return str_eq_nocase(label, str_of(name));
}

static bool is_labelled_gzip(struct str label)
{
    return label_is(label, "gzip") || label_is(label, "x-gzip");
}

/** CMF and FLG of RFC 1950: deflate, and the check of the two bytes. */
static bool is_zlib(const unsigned char *bytes, size_t len)
{
    return len >= 2 && (bytes[0] & 0x0f) == 8 && bytes[0] >> 4 <= 7 &&
           (bytes[0] * 256 + bytes[1]) % 31 == 0;
}

/** What may be a text: no control characters. */
static bool is_text(struct str head)
{
    for (size_t i = 0; i < head.len; i++) {
        const unsigned char c = (unsigned char)head.at[i];
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/** JSON or a page: what is a text, and begins as those do. */
static bool is_json(struct str head)
{
    const struct str mark = STR("\xef\xbb\xbf");
    if (str_starts(head, mark)) {
        head.at += mark.len;
        head.len -= mark.len;
    }
    const struct str inner = str_trim(head);
    return is_text(head) && inner.len > 0 &&
           memchr("{[<\"", inner.at[0], 4) != NULL;
}

/** The first box of an MP4 or a QuickTime file: a length, then its type. */
static bool is_boxes(struct str head)
{
    static const char *const types[] = {
        "ftyp", "styp", "moov", "moof", "mdat", "sidx",
        "free", "skip", "wide", "uuid", "pnot",
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (head.len >= 8 && memcmp(head.at + 4, types[i], 4) == 0) {
            return true;
        }
    }
    return false;
}

/** @param head  The first bytes; short only if there are no more. */
static enum coding coding_of(struct str head, struct str label)
{
    assert(head.len <= HEAD_BYTES);
    const unsigned char *bytes = (const unsigned char *)head.at;
    if (str_starts(head, STR("\x1f\x8b\x08"))) {
        return CODING_GZIP;
    }
    if (str_starts(head, STR("\x28\xb5\x2f\xfd"))) {
        return CODING_ZSTD;
    }
    if (head.len == 0 || is_json(head) || is_boxes(head)) {
        return CODING_PLAIN;
    }
    if (label_is(label, "br")) {
        return CODING_BROTLI; /* its bytes tell nothing */
    }
    if (label_is(label, "deflate")) {
        return is_zlib(bytes, head.len) ? CODING_ZLIB : CODING_DEFLATE;
    }
    if (label.len == 0 || label_is(label, "identity") ||
        label_is(label, "aws-chunked")) {
        return CODING_PLAIN; /* whatever it is, it isn't coded */
    }
    if (is_labelled_gzip(label) && is_zlib(bytes, head.len)) {
        return CODING_ZLIB;
    }
    return is_text(head) ? CODING_PLAIN : CODING_UNKNOWN;
}

static bool begin(struct decoder *d)
{
    assert(!d->zlib_open && !d->brotli && !d->zstd);
    assert(d->coding != CODING_OPEN);
    switch (d->coding) {
    case CODING_GZIP:
        return d->zlib_open = inflateInit2(&d->zlib, GZIP_BITS) == Z_OK;
    case CODING_ZLIB:
        return d->zlib_open = inflateInit2(&d->zlib, ZLIB_BITS) == Z_OK;
    case CODING_DEFLATE:
        return d->zlib_open = inflateInit2(&d->zlib, DEFLATE_BITS) == Z_OK;
    case CODING_BROTLI:
        d->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        return d->brotli != NULL;
    case CODING_ZSTD:
        d->zstd = ZSTD_createDStream();
        return d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(
                              d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
    case CODING_UNKNOWN:
        return false;
    case CODING_OPEN:
    case CODING_PLAIN:
        break;
    }
    return true;
}

/* ---- one step of each ---- */

/** Takes of *in, writes into `out`; false: broken. */
static bool step_zlib(struct decoder *d, struct str *in, char *out, size_t room,
                      size_t *len)
{
    assert(d->zlib_open && room > 0);
    const uInt most = (uInt)1 << 30;
    d->zlib.next_in = (Bytef *)(uintptr_t)in->at;
    d->zlib.avail_in = in->len < most ? (uInt)in->len : most;
    d->zlib.next_out = (Bytef *)out;
    d->zlib.avail_out = (uInt)room;
    const int code = inflate(&d->zlib, Z_NO_FLUSH);
    const size_t taken = (size_t)(d->zlib.next_in - (const Bytef *)in->at);
    in->at += taken;
    in->len -= taken;
    *len = room - d->zlib.avail_out;
    d->done = code == Z_STREAM_END;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR;
}

static bool step_brotli(struct decoder *d, struct str *in, char *out,
                        size_t room, size_t *len)
{
    assert(d->brotli && room > 0);
    const uint8_t *next_in = (const uint8_t *)in->at;
    uint8_t *next_out = (uint8_t *)out;
    size_t left = room;
    const BrotliDecoderResult result = BrotliDecoderDecompressStream(
        d->brotli, &in->len, &next_in, &left, &next_out, NULL);
    in->at = (const char *)next_in;
    *len = room - left;
    d->done = result == BROTLI_DECODER_RESULT_SUCCESS;
    return result != BROTLI_DECODER_RESULT_ERROR;
}

static bool step_zstd(struct decoder *d, struct str *in, char *out, size_t room,
                      size_t *len)
{
    assert(d->zstd && room > 0);
    ZSTD_inBuffer from = {in->at, in->len, 0};
    ZSTD_outBuffer to = {out, room, 0};
    const size_t left = ZSTD_decompressStream(d->zstd, &to, &from);
    in->at += from.pos;
    in->len -= from.pos;
    *len = to.pos;
    d->done = left == 0;
    return !ZSTD_isError(left);
}

static bool step(struct decoder *d, struct str *in, char *out, size_t room,
                 size_t *len)
{
    switch (d->coding) {
    case CODING_PLAIN:
        *len = in->len < room ? in->len : room;
        memcpy(out, in->at, *len);
        in->at += *len;
        in->len -= *len;
        return true;
    case CODING_GZIP:
    case CODING_ZLIB:
    case CODING_DEFLATE:
        return step_zlib(d, in, out, room, len);
    case CODING_BROTLI:
        return step_brotli(d, in, out, room, len);
    case CODING_ZSTD:
        return step_zstd(d, in, out, room, len);
    case CODING_OPEN:
    case CODING_UNKNOWN:
        break;
    }
    return false;
}

/* ---- the stream ---- */

struct decoder *decoder_new(struct str label)
{
    struct decoder *d = calloc(1, sizeof *d);
    label = str_trim(label);
    if (d && label.len < sizeof d->label) {
        memcpy(d->label, label.at ? label.at : "", label.len);
    } else if (d) {
        memcpy(d->label, "?", 2); /* no coding that we know is so long */
    }
    return d;
}

void decoder_free(struct decoder *d)
{
    if (!d) {
        return;
    }
    if (d->zlib_open) {
        inflateEnd(&d->zlib);
    }
    if (d->brotli) {
        BrotliDecoderDestroyInstance(d->brotli);
    }
    ZSTD_freeDStream(d->zstd);
    free(d);
}

/** Keeps the first bytes until there are enough; false: more are needed. */
static bool decide(struct decoder *d, struct str *in, bool last)
{
    assert(d->coding == CODING_OPEN && d->head_len < HEAD_BYTES);
    size_t take = HEAD_BYTES - d->head_len;
    take = take < in->len ? take : in->len;
    memcpy(d->head + d->head_len, in->len ? in->at : "", take);
    d->head_len += take;
    in->at += take;
    in->len -= take;
    if (d->head_len < HEAD_BYTES && !last) {
        return false;
    }
    d->coding = coding_of((struct str){d->head, d->head_len}, str_of(d->label));
    d->bad = !begin(d);
    return true;
}

/** A stream that has ended: another member of gzip may follow; all else that
 * stands behind it is nobody's. */
static bool goes_on(struct decoder *d, struct str in)
{
    assert(d->done);
    if (d->coding == CODING_ZSTD && in.len) {
        return true; /* the next frame, or an error */
    }
    return d->coding == CODING_GZIP && in.len && in.at[0] == '\x1f' &&
           inflateReset2(&d->zlib, GZIP_BITS) == Z_OK;
}

/** The head first, then the rest. */
static struct str *source_of(struct decoder *d, struct str *head,
                             struct str *in)
{
    assert(d->head_at <= d->head_len);
    *head = (struct str){d->head + d->head_at, d->head_len - d->head_at};
    return head->len ? head : in;
}

enum decode_end decoder_turn(struct decoder *d, struct str *in, bool last,
                             char *out, size_t room, size_t *len)
{
    assert(room >= HEAD_BYTES);
    *len = 0;
    if (d->coding == CODING_OPEN && !decide(d, in, last)) {
        return DECODE_MORE;
    }
    while (!d->bad && *len < room) {
        struct str head;
        struct str *source = source_of(d, &head, in);
        if (d->done && !goes_on(d, *source)) {
            in->at += in->len;
            in->len = 0;
            d->head_at = d->head_len;
            return DECODE_MORE;
        }
        if (d->coding == CODING_PLAIN && source->len == 0) {
            return DECODE_MORE;
        }
        const size_t before = source->len;
        size_t n = 0;
        d->bad = !step(d, source, out + *len, room - *len, &n);
        *len += n;
        if (source == &head) {
            d->head_at = d->head_len - head.len;
        }
        if (n == 0 && source->len == before && !d->done) {
            return DECODE_MORE; /* neither more to take nor to give */
        }
    }
    return d->bad ? DECODE_BAD : DECODE_ROOM;
}

bool decoder_is_plain(const struct decoder *d)
{
    return d->coding == CODING_PLAIN;
}

bool decoder_is_done(const struct decoder *d)
{
    return d->done;
}

void decode_label_show(char *label)
{
    for (; *label; label++) {
        const unsigned char c = (unsigned char)*label;
        if (c < ' ' || c >= 0x7f || c == '"') {
            *label = '?';
        }
    }
}

/* ---- a text ---- */

/** Undo one coding; DECODED_PLAIN: there is none. */
static enum decoded decode_layer(struct str bytes, struct str label,
                                 struct buf *out)
{
    struct decoder *d = decoder_new(label);
    enum decoded end = d ? DECODED : DECODED_NOT;
    const struct str whole = bytes;
    buf_reset(out);
    while (end == DECODED) {
        char piece[PIECE_BYTES];
        size_t len = 0;
        const enum decode_end turn =
            decoder_turn(d, &bytes, true, piece, sizeof piece, &len);
        if (decoder_is_plain(d)) {
            end = DECODED_PLAIN;
            break;
        }
        buf_add(out, piece, len);
        if (out->failed) {
            end = DECODED_TOO_LARGE;
        } else if (turn == DECODE_BAD) {
            end = DECODED_NOT;
        } else if (turn == DECODE_MORE) {
            end = decoder_is_done(d) ? DECODED : DECODED_NOT;
            break;
        }
    }
    decoder_free(d);
    if (end == DECODED_NOT && is_text(whole) && str_is_utf8(whole)) {
        buf_reset(out);
        end = DECODED_PLAIN; /* a text of another kind, under a false label */
    }
    return end;
}

/** Cuts the last label off. */
static struct str pop_label(struct str *labels)
{
    assert(labels->at);
    size_t at = labels->len;
    while (at > 0 && labels->at[at - 1] != ',') {
        at--;
    }
    const struct str label = {labels->at + at, labels->len - at};
    labels->len = at > 0 ? at - 1 : 0;
    return str_trim(label);
}

enum decoded decode_text(struct str bytes, struct str labels, struct buf *out)
{
    assert(out->bytes_max > 0);
    struct buf layer;
    enum decoded end = DECODED_PLAIN;
    labels = labels.at ? labels : STR("");
    buf_reset(out);
    if (is_json((struct str){bytes.at, bytes.len < HEAD_BYTES ? bytes.len
                                                              : HEAD_BYTES})) {
        return DECODED_PLAIN; /* nearly every reply */
    }
    buf_init(&layer, out->bytes_max);
    for (int i = 0; i < LAYERS_MAX; i++) {
        const struct str label = pop_label(&labels);
        const struct str source = end == DECODED ? buf_str(out) : bytes;
        const enum decoded now = decode_layer(source, label, &layer);
        if (now == DECODED_PLAIN && labels.len) {
            continue; /* the label lied; the next may not */
        }
        if (now == DECODED_PLAIN) {
            break;
        }
        struct buf swap = *out;
        *out = layer;
        layer = swap;
        end = now;
        if (now != DECODED) {
            break;
        }
    }
    buf_done(&layer);
    return end;
}
