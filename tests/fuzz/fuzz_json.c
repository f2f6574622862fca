/* tests/run: long */
#include "fuzz.h"

#include "core/json.h"

/* What we read we write so that it reads as the same value, and equal values
 * have one canonical text. */

static struct str text_of(struct buf *buf, const json_t *value, bool canonical)
{
    buf_init(buf, 0);
    (canonical ? json_write_canonical : json_write)(buf, value);
    CHECK(!buf->failed);
    return buf_str(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool no_memory = false;
    struct str text = {(const char *)data, size};
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
