#include "core/video.h"

#include "core/video_tables.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TO_THE_END UINT64_MAX
#define HEAD_BYTES 8        /* size and type */
#define HEAD_LARGE_BYTES 16 /* size 1: the true size follows in 64 bits */
#define UUID_BYTES 16       /* a `uuid` box names its type behind its head */
/* hours of film have a smaller moov */
#define KEPT_BYTES_MAX ((size_t)8 << 20)
#define KEPT_BYTES_IDLE ((size_t)64 << 10)

/* What a film may begin with; a QuickTime one needs no ftyp. */
static const char *const first_types[] = {
    "ftyp", "free", "skip", "wide", "moov", "mdat", "pnot", "styp", "uuid"};

/* Boxes without which, once they are begun, no film is whole. */
static const char *const film_types[] = {"ftyp", "moov", "mdat", "moof"};

/* Boxes that are read. */
static const char *const kept_types[] = {"moov", "moof", "mfra", "sidx"};

void video_check_init(struct video_check *check)
{
    *check = (struct video_check){0};
}

void video_check_done(struct video_check *check)
{
    free(check->kept);
    video_check_init(check);
}

static uint64_t big_endian(const unsigned char *bytes, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static bool is_type(const struct video_check *check, const char *type)
{
    return memcmp(check->head + 4, type, 4) == 0;
}

static bool is_one_of(const struct video_check *check, const char *const *types,
                      size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (is_type(check, types[i])) {
            return true;
        }
    }
    return false;
}

/** Types are four printable characters; QuickTime's may begin with "©". */
static bool is_typelike(const struct video_check *check)
{
    for (int i = 4; i < 8; i++) {
        if (!isprint(check->head[i]) && check->head[i] != 0xa9) {
            return false;
        }
    }
    return true;
}

/** Bytes that the head in `head` has, as far as can be told by now. */
static size_t head_bytes(const struct video_check *check)
{
    const bool large =
        check->head_len >= HEAD_BYTES && big_endian(check->head, 4) == 1;
    return large ? HEAD_LARGE_BYTES : HEAD_BYTES;
}

/** A whole film lies before: what comes is none of it. */
static bool has_film(const struct video_check *check)
{
    return check->moov_whole && check->mdat_whole;
}

/** What is no box is a fault, or stands behind a film and does no harm. */
static void meet_no_box(struct video_check *check, const char *fault)
{
    if (has_film(check)) {
        check->tail = true;
        return;
    }
    check->fault = fault;
}

static bool tells_media(const struct video_check *check)
{
    return is_type(check, "moov") || is_type(check, "moof");
}

static void begin_box(struct video_check *check, uint64_t at)
{
    assert(check->head_len == head_bytes(check));
    assert(at + check->head_len == check->at);
    const uint64_t head = head_bytes(check);
    uint64_t size = big_endian(check->head, 4);
    if (head == HEAD_LARGE_BYTES) {
        size = big_endian(check->head + HEAD_BYTES, 8);
        if (size == 0) {
            size = 1; /* only a short size may say "to the end" */
        }
    }
    const uint64_t least = head + (is_type(check, "uuid") ? UUID_BYTES : 0);
    if (!check->boxes && !is_one_of(check, first_types, COUNT(first_types))) {
        check->fault = "it does not begin as an MP4 does";
        return;
    }
    if (size != 0 && size < least) {
        meet_no_box(check, "a box is smaller than its own head");
        return;
    }
    if (has_film(check) && !is_typelike(check)) {
        check->tail = true;
        return;
    }
    check->boxes = true;
    check->moov |= is_type(check, "moov");
    check->mdat |= is_type(check, "mdat");
    check->fragmented |= is_type(check, "moof");
    check->cut_box = is_one_of(check, film_types, COUNT(film_types));
    check->keeping = is_one_of(check, kept_types, COUNT(kept_types)) &&
                     (size == 0 || size - head <= KEPT_BYTES_MAX);
    if (!check->keeping && tells_media(check)) {
        media_miss(&check->media);
    }
    check->kept_len = 0;
    check->box_at = at;
    check->box_left = size == 0 ? TO_THE_END : size - head;
}

static void read_kept(struct video_check *check)
{
    assert(check->keeping && check->kept_len <= check->kept_size);
    const struct str body = {(const char *)check->kept, check->kept_len};
    const uint64_t end = check->at;
    struct video_tables tables = {.whole = true};
    if (is_type(check, "moov")) {
        tables = video_read_moov(body);
        media_read_moov(&check->media, body);
        check->tables |= tables.media_end > 0 && !tables.blind;
        check->moov_whole |= tables.whole;
    } else if (is_type(check, "moof")) {
        tables = video_read_moof(body, check->box_at);
        media_read_moof(&check->media, body);
        check->closed = false; /* an index of what came before it */
    } else if (is_type(check, "mfra")) {
        check->closed |= video_read_mfra(body, end - check->box_at);
    } else { /* of all fragments or of the next one: no proof of an end */
        const uint64_t index_end = video_read_sidx(body, end);
        check->index_end =
            index_end > check->index_end ? index_end : check->index_end;
    }
    if (tables.media_end > check->media_end) {
        check->media_end = tables.media_end;
    }
    check->fragmented |= tables.fragmented;
}

static void end_box(struct video_check *check)
{
    assert(check->box_left == 0 && !check->fault);
    check->mdat_whole |= is_type(check, "mdat");
    if (check->keeping) {
        read_kept(check);
    }
    check->moov_whole |= is_type(check, "moov"); /* read or too large for it */
    check->keeping = false;
    check->head_len = 0;
    if (check->kept_size > KEPT_BYTES_IDLE) {
        free(check->kept);
        check->kept = NULL;
        check->kept_size = 0;
    }
}

/** Without memory the tables prove nothing; what is there may still be
 * whole. */
static void keep(struct video_check *check, const unsigned char *bytes,
                 size_t len)
{
    assert(check->keeping && check->kept_len <= check->kept_size);
    const size_t need = check->kept_len + len;
    if (need > check->kept_size && need <= KEPT_BYTES_MAX) {
        size_t size = need < 4096 ? 4096 : 2 * need;
        size = size < KEPT_BYTES_MAX ? size : KEPT_BYTES_MAX;
        unsigned char *grown = realloc(check->kept, size);
        check->kept = grown ? grown : check->kept;
        check->kept_size = grown ? size : check->kept_size;
    }
    if (need > check->kept_size) {
        check->keeping = false;
        if (tells_media(check)) {
            media_miss(&check->media);
        }
        return;
    }
    memcpy(check->kept + check->kept_len, bytes, len);
    check->kept_len = need;
}

/** Take in what belongs to the head of the next box. */
static size_t read_head(struct video_check *check, const unsigned char *bytes,
                        size_t len)
{
    assert(len > 0 && check->head_len < head_bytes(check));
    size_t want = head_bytes(check) - check->head_len;
    size_t took = want < len ? want : len;
    memcpy(check->head + check->head_len, bytes, took);
    check->head_len += took;
    return took;
}

static bool head_is_whole(const struct video_check *check)
{
    return check->head_len >= HEAD_BYTES &&
           check->head_len == head_bytes(check);
}

void video_check_add(struct video_check *check, const void *bytes, size_t len)
{
    assert(bytes || len == 0);
    const unsigned char *at = bytes;
    while (len > 0) {
        size_t took = len;
        if (check->fault || check->tail) {
            check->at += len;
            return;
        }
        if (head_is_whole(check)) {
            took = check->box_left < len ? (size_t)check->box_left : len;
            if (check->keeping) {
                keep(check, at, took);
            }
            check->at += took;
            check->box_left -= check->box_left == TO_THE_END ? 0 : took;
        } else {
            took = read_head(check, at, len);
            check->at += took;
            if (head_is_whole(check)) {
                begin_box(check, check->at - check->head_len);
            }
        }
        if (head_is_whole(check) && check->box_left == 0 && !check->fault &&
            !check->tail) {
            end_box(check);
        }
        at += took;
        len -= took;
    }
}

/** How the last box stands, of a film that is none without it. */
static const char *fault_at_the_end(const struct video_check *check,
                                    bool complete)
{
    if (check->at == 0) {
        return "it is empty";
    }
    const bool open = head_is_whole(check) && !check->tail;
    const bool cut = open && check->box_left != TO_THE_END;
    if ((check->head_len > 0 && !open && !check->tail && !has_film(check)) ||
        (cut && (check->cut_box || !has_film(check)))) {
        return "it ends in the middle of a box";
    }
    if (!check->moov) {
        return "it has no moov box";
    }
    if (!check->mdat) {
        return "it has no mdat box";
    }
    if (!check->moov_whole) {
        return "its moov box is cut"; /* it goes to the end of the file */
    }
    return check->media_end > check->at ||
                   (!complete && check->index_end > check->at)
               ? "its tables point behind its end: it is cut"
               : NULL;
}

struct video_verdict video_check_end(const struct video_check *check,
                                     bool complete)
{
    struct video_check last = *check;
    if (last.fault) {
        return (struct video_verdict){.fault = last.fault};
    }
    const bool tiled = last.head_len == 0 ||
                       (head_is_whole(&last) && last.box_left == TO_THE_END);
    if (last.keeping && head_is_whole(&last) && last.box_left == TO_THE_END) {
        read_kept(&last); /* a moov to the end of the file */
    }
    const char *fault = fault_at_the_end(&last, complete);
    /* Where its tables name all of it and it is there, what is cut behind it
     * was no part of the film. */
    if (complete && !last.fragmented && last.tables && last.mdat &&
        last.media_end <= last.at && last.moov_whole) {
        fault = NULL;
    }
    const bool shown = last.fragmented ? last.closed : last.tables;
    struct video_verdict verdict = {
        .fault = fault,
        .proven = !fault && (complete || (tiled && !last.tail && shown)),
    };
    if (!fault) {
        media_tell(&last.media, &verdict.media);
    }
    return verdict;
}
