/* tests/run: long */
#include "fuzz.h"

#include "core/json.h"
#include "core/json_plain.h"

#include <string.h>

/* What is read in one pass is what jansson reads. What we read we write so that
 * it reads as the same value, and equal values have one canonical text. */

static struct str text_of(struct buf *buf, const json_t *value, bool canonical)
{
    buf_init(buf, 0);
    (canonical ? json_write_canonical : json_write)(buf, value);
    CHECK(!buf->failed);
    return buf_str(buf);
}

static void check_plain(struct str text, enum json_plain_ints ints)
{
    json_t *plain =
        text.len && str_is_utf8(text) && !memchr(text.at, 0, text.len)
            ? json_read_plain(text, JSON_DEPTH_MAX, ints)
            : NULL;
    if (plain) {
        json_error_t error;
        json_t *whole = json_loadb(
            text.at, text.len,
            JSON_REJECT_DUPLICATES | JSON_DECODE_ANY |
                (ints == JSON_PLAIN_REALS ? JSON_DECODE_INT_AS_REAL : 0),
            &error);
        CHECK(whole && json_equal(plain, whole));
        struct buf one;
        struct buf other; /* in the same order, too */
        CHECK(
            str_eq(text_of(&one, plain, false), text_of(&other, whole, false)));
        buf_done(&one);
        buf_done(&other);
        json_decref(whole);
        json_decref(plain);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool no_memory = false;
    struct str text = {(const char *)data, size};
    check_plain(text, JSON_PLAIN_INTS);
    check_plain(text, JSON_PLAIN_REALS);
    json_t *value = json_read(text, &no_memory);
    CHECK(!no_memory);
    if (!value) {
        return 0;
    }
    CHECK(str_is_utf8(text));
    struct buf written;
    struct buf canonical;
    struct buf again;
    json_t *same = json_read(text_of(&written, value, false), &no_memory);
    CHECK(same);
    CHECK(
        str_eq(text_of(&canonical, value, true), text_of(&again, same, true)));
    buf_done(&again);
    json_t *third = json_read(buf_str(&canonical), &no_memory);
    CHECK(third);
    CHECK(str_eq(buf_str(&canonical), text_of(&again, third, true)));
    buf_done(&again);
    buf_done(&canonical);
    buf_done(&written);
    json_decref(third);
    json_decref(same);
    json_decref(value);
    return 0;
}
