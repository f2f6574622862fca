#include "core/video.h"

#include <string.h>

#define TO_THE_END UINT64_MAX
#define HEAD_BYTES 8        /* size and type */
#define HEAD_LARGE_BYTES 16 /* size 1: the true size follows in 64 bits */
#define UUID_BYTES 16       /* a `uuid` box names its type behind its head */

void video_check_init(struct video_check *check)
{
    *check = (struct video_check){0};
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

/** Bytes that the head in `head` has, as far as can be told by now. */
static size_t head_bytes(const struct video_check *check)
{
    const bool large =
        check->head_len >= HEAD_BYTES && big_endian(check->head, 4) == 1;
    return large ? HEAD_LARGE_BYTES : HEAD_BYTES;
}

static void begin_box(struct video_check *check)
{
    const uint64_t head = head_bytes(check);
    uint64_t size = big_endian(check->head, 4);
    if (head == HEAD_LARGE_BYTES) {
        size = big_endian(check->head + HEAD_BYTES, 8);
        if (size == 0) {
            size = 1; /* only a short size may say "to the end" */
        }
    }
    const uint64_t least = head + (is_type(check, "uuid") ? UUID_BYTES : 0);
    if (!check->boxes && !is_type(check, "ftyp")) {
        check->fault = "it does not begin with an ftyp box";
        return;
    }
    if (size != 0 && size < least) {
        check->fault = "a box is smaller than its own head";
        return;
    }
    check->boxes = true;
    check->ftyp |= is_type(check, "ftyp");
    check->moov |= is_type(check, "moov");
    check->mdat |= is_type(check, "mdat");
    check->box_left = size == 0 ? TO_THE_END : size - head;
    check->head_len = 0;
}

/** Take in what belongs to the head of the next box. */
static size_t read_head(struct video_check *check, const unsigned char *bytes,
                        size_t len)
{
    size_t want = head_bytes(check) - check->head_len;
    size_t took = want < len ? want : len;
    memcpy(check->head + check->head_len, bytes, took);
    check->head_len += took;
    if (check->head_len >= HEAD_BYTES && check->head_len == head_bytes(check)) {
        begin_box(check);
    }
    return took;
}

void video_check_add(struct video_check *check, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    check->at += len;
    while (len > 0 && !check->fault && check->box_left != TO_THE_END) {
        size_t took = 0;
        if (check->box_left > 0) {
            took = check->box_left < len ? (size_t)check->box_left : len;
            check->box_left -= took;
        } else {
            took = read_head(check, at, len);
        }
        at += took;
        len -= took;
    }
}

const char *video_check_end(const struct video_check *check)
{
    if (check->fault) {
        return check->fault;
    }
    if (check->at == 0) {
        return "it is empty";
    }
    if (check->head_len > 0 ||
        (check->box_left > 0 && check->box_left != TO_THE_END)) {
        return "it ends in the middle of a box";
    }
    if (!check->moov) {
        return "it has no moov box";
    }
    if (!check->mdat) {
        return "it has no mdat box";
    }
    return NULL;
}
