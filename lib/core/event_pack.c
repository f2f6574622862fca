#include "core/event_pack.h"

#include <assert.h>

/* Frozen with the schema's event_text(): a row that is there has to read the
 * same for ever. Other words are another first code. The commonest have one
 * byte, what few events have is from U+0080 on. By what they begin with:
 * words_with(). */
#define WORD(code, text)                                                       \
    {                                                                          \
        code, text, sizeof code - 1, sizeof text - 1                           \
    }

const struct event_word event_words[EVENT_WORDS_LEN] = {
    WORD("\x01", "event/2\nkey "),
    WORD("\x06", "\",\"tenant\":\""),
    WORD("\x07", "\",\"status\":\"completed\",\"mode\":\""),
    WORD("\x08", "\",\"provider\":\"apimart\",\"model\":\"pixverse-v6\","
                 "\"account\":\""),
    WORD("\x0b", "\",\"provider_task_id\":\""),
    WORD("\x0c", "\",\"videos\":[{\"uri\":\""),
    WORD("\x0e", "\",\"bytes\":"),
    WORD("\x10", "\",\"content_type\":\"video/mp4\",\"media\":{\"width\":"),
    WORD("\x15", "\"],\"audio\":true}}],\"cost\":"),
    WORD("\x16", "\"],\"audio\":false}}],\"cost\":"),
    WORD("\x1d", "\"},\"warnings\":[]"),
    WORD("\x0f", ",\"sha256\":\""),
    WORD("\x11", ",\"height\":"),
    WORD("\x12", ",\"duration\":"),
    WORD("\x13", ",\"frame_rate\":"),
    WORD("\x14", ",\"codecs\":[\""),
    WORD("\x17", ",\"credits_cost\":"),
    WORD("\x18", ",\"billed\":\"yes\",\"times\":{\"received\":\""),
    WORD("\xc2\x81", ",\"metadata\":{\""),
    WORD("\x02", "\nce_type 26\nvideo.generation.completed\nce_id 36\n"),
    WORD("\x03", "\nce_time 24\n"),
    WORD("\x04", "\nvalue "),
    WORD("\x05", "\n{\"request_id\":\""),
    WORD("\xc2\x80", "\ntraceparent 55\n00-"),
    WORD("\x19", "Z\",\"submitted\":\""),
    WORD("\x1a", "Z\",\"generated\":\""),
    WORD("\x1b", "Z\",\"stored\":\""),
    WORD("\x1c", "Z\",\"settled\":\""),
    WORD("\xc2\x82", "text_to_video"),
    WORD("\xc2\x83", "image_to_video"),
};

#define KEY_BYTES_MIN 4
#define TIME_BYTES 24
#define HOUR_BYTES 14

/** What the text has of its own that it may say again. */
struct said {
    struct str key;
    struct str time;
    struct str hour;
    size_t from; /* where it may */
};

/** The line that begins at *at; false: none ends. */
static bool take_line(struct str text, size_t *at, struct str *line)
{
    assert(*at <= text.len);
    const char *begin = text.at + *at;
    const char *end =
        text.len > *at ? memchr(begin, '\n', text.len - *at) : NULL;
    if (!end) {
        return false;
    }
    *line = (struct str){begin, (size_t)(end - begin)};
    *at += line->len + 1;
    return true;
}

/** Its first nine lines, as event_text() counts them. */
static bool read_head(struct str text, struct said *said)
{
    enum { KEY_LINE = 2, TYPE_LINE = 4, TIME_LINE = 8 };
    struct str lines[TIME_LINE + 1];
    size_t at = 0;
    for (size_t i = 0; i <= TIME_LINE; i++) {
        if (!take_line(text, &at, &lines[i])) {
            return false;
        }
    }
    said->key = lines[KEY_LINE];
    said->time = lines[TIME_LINE];
    said->hour = (struct str){said->time.at, HOUR_BYTES};
    said->from = at;
    return said->time.len == TIME_BYTES &&
           str_eq(lines[TIME_LINE - 1], STR("ce_time 24")) &&
           str_eq(lines[TYPE_LINE], STR("video.generation.completed"));
}

/** No byte of it can be taken for a code, or is one of another time. */
static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        if ((c < ' ' && c != '\n') || (c == 0xc2 && i + 1 < text.len &&
                                       (unsigned char)text.at[i + 1] < 0xa0)) {
            return false;
        }
    }
    return true;
}

/** Those of event_words from `from` on, before `to`. */
struct words {
    size_t from;
    size_t to;
};

/** Those that begin with it; most bytes begin none. */
static struct words words_with(char first)
{
    switch (first) {
    case 'e':
        return (struct words){0, 1};
    case '"':
        return (struct words){1, 11};
    case ',':
        return (struct words){11, 19};
    case '\n':
        return (struct words){19, 24};
    case 'Z':
        return (struct words){24, 28};
    case 't':
        return (struct words){28, 29};
    case 'i':
        return (struct words){29, 30};
    default:
        return (struct words){0, 0};
    }
}

/** The longest word at the beginning of `rest`. */
static const struct event_word *word_at(struct str rest)
{
    const struct event_word *best = NULL;
    assert(rest.len > 0);
    const struct words words = words_with(rest.at[0]);
    for (size_t i = words.from; i < words.to; i++) {
        const struct event_word *word = &event_words[i];
        /* The third byte tells those of one beginning apart, most of them. */
        if (word->text_len <= rest.len && word->text[2] == rest.at[2] &&
            (!best || word->text_len > best->text_len) &&
            memcmp(word->text, rest.at, word->text_len) == 0) {
            best = word;
        }
    }
    return best;
}

/** What the text has said before, at the beginning of `rest`: its code. */
static const char *again_at(struct str rest, const struct said *said,
                            size_t *len)
{
    assert(said->hour.len < said->time.len);
    if (said->key.len >= KEY_BYTES_MIN && rest.at[0] == said->key.at[0] &&
        str_starts(rest, said->key)) {
        *len = said->key.len;
        return EVENT_KEY_AGAIN;
    }
    if (rest.at[0] == said->hour.at[0] && str_starts(rest, said->hour)) {
        const bool whole = str_starts(rest, said->time);
        *len = whole ? said->time.len : said->hour.len;
        return whole ? EVENT_TIME_AGAIN : EVENT_HOUR_AGAIN;
    }
    return NULL;
}

/** Packs into `to` what begins at *at; returns the bytes that it needed. */
static size_t pack_next(struct str text, size_t *at, const struct said *said,
                        char *to)
{
    const struct str rest = {text.at + *at, text.len - *at};
    size_t len = 0;
    struct str code = {0};
    const struct event_word *word = word_at(rest);
    if (word) {
        code = (struct str){word->code, word->code_len};
        len = word->text_len;
    }
    if (!len && *at >= said->from) {
        code = str_of(again_at(rest, said, &len));
    }
    if (!len) {
        *to = rest.at[0];
        (*at)++;
        return 1;
    }
    memcpy(to, code.at, code.len);
    *at += len;
    return code.len;
}

struct str event_pack(struct str stored, struct buf *out)
{
    struct said said;
    if (!str_starts(stored, str_of(event_words[0].text)) || !is_plain(stored) ||
        !read_head(stored, &said)) {
        return stored;
    }
    char *to = buf_room(out, stored.len); /* no code is longer than its word */
    size_t len = 0;
    if (!to) {
        return stored; /* longer, and as good */
    }
    for (size_t at = 0; at < stored.len;) {
        len += pack_next(stored, &at, &said, to + len);
    }
    buf_took(out, len);
    return buf_str(out);
}
