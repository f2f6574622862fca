#ifndef CORE_EVENT_PACK_H
#define CORE_EVENT_PACK_H

#include "base/buf.h"

/**
 * The stored form of an event (core/event.h), as the database keeps it: words
 * that most events have are a code each, so that a row and what is logged of it
 * are half as long. PostgreSQL itself compresses no row below 2 KB. Only what
 * was completed is packed: failures are few, and searched by their text.
 *
 * What reads an event out of the database asks for event_text(event)
 * (sql/schema), the other half of this table, and has the text to the byte. A
 * code is a control character, which no JSON holds: a text that does have one,
 * in a header or between the values of a metadata, stays as it is. A packed
 * text begins with the first code, a plain one never.
 */

struct event_word {
    const char *code;
    const char *text;
    size_t code_len;
    size_t text_len;
};

#define EVENT_WORDS_LEN 30
extern const struct event_word event_words[EVENT_WORDS_LEN];

/* What a text says twice, in codes too: its key, its ce_time, and that up to
 * the hour. Only behind the headers that all have. */
#define EVENT_KEY_AGAIN "\x1e"
#define EVENT_HOUR_AGAIN "\x1f"
#define EVENT_TIME_AGAIN "\xc2\x84"

/** The text in fewer bytes, in `out`; itself where it is none that can be
 * packed, or without memory. */
struct str event_pack(struct str stored, struct buf *out);

#endif
