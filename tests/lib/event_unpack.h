#ifndef TESTS_LIB_EVENT_UNPACK_H
#define TESTS_LIB_EVENT_UNPACK_H

#include "core/event_pack.h"

/* What the schema's event_text() does, for tests without a database
 * (edge/store_wal holds both to the same table). */

/** A line of what is there so far; the first is 0. */
static inline struct str unpacked_line(const struct buf *out, size_t number)
{
    struct str rest = buf_str(out);
    for (;; number--) {
        const char *end = rest.len ? memchr(rest.at, '\n', rest.len) : NULL;
        if (!end) {
            return (struct str){0};
        }
        const size_t len = (size_t)(end - rest.at);
        if (!number) {
            return (struct str){rest.at, len};
        }
        rest = (struct str){end + 1, rest.len - len - 1};
    }
}

/** What a code at the beginning stands for; absent: there is none. */
static inline struct str unpacked_code(struct str rest, const struct buf *out,
                                       size_t *len)
{
    struct str text = {0};
    for (size_t i = 0; i < EVENT_WORDS_LEN; i++) {
        const struct event_word *word = &event_words[i];
        if (str_starts(rest, (struct str){word->code, word->code_len})) {
            *len = word->code_len;
            return (struct str){word->text, word->text_len};
        }
    }
    if (str_starts(rest, STR(EVENT_KEY_AGAIN))) {
        *len = sizeof EVENT_KEY_AGAIN - 1;
        return unpacked_line(out, 2);
    }
    text = unpacked_line(out, 8);
    if (str_starts(rest, STR(EVENT_TIME_AGAIN))) {
        *len = sizeof EVENT_TIME_AGAIN - 1;
        return text;
    }
    *len = sizeof EVENT_HOUR_AGAIN - 1;
    return str_starts(rest, STR(EVENT_HOUR_AGAIN)) && text.len > 14
               ? (struct str){text.at, 14}
               : (struct str){0};
}

static inline void event_unpack(struct str packed, struct buf *out)
{
    const bool codes = str_starts(packed, str_of(event_words[0].code));
    for (size_t at = 0; at < packed.len;) {
        const struct str rest = {packed.at + at, packed.len - at};
        size_t len = 1;
        const struct str text =
            codes ? unpacked_code(rest, out, &len) : (struct str){0};
        if (text.at) {
            char *copy = strndup(text.at, text.len); /* it may be of `out` */
            buf_add_text(out, copy);
            free(copy);
        } else {
            buf_add_char(out, rest.at[0]);
            len = 1;
        }
        at += len;
    }
}

#endif
