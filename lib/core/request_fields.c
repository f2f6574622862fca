#include "core/request_fields.h"

#include "core/queue.h"
#include "core/url.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define URL_WORDS "a public http or https URL"
#define NAME_WORDS " of A-Z a-z 0-9 . _ -, the first a letter or digit"

/* clang-format off */
static const struct field envelope_rows[] = {
    {.name = "request_id", .shape = SHAPE_NAME, .most = 128,
     .allowed = "1..128" NAME_WORDS},
    {.name = "request", .shape = SHAPE_OBJECT, .most = 0,
     .allowed = "an object"},
    {.name = "tenant", .shape = SHAPE_NAME, .most = 64,
     .allowed = "1..64" NAME_WORDS},
    {.name = "priority", .shape = SHAPE_INTEGER, .least = 0,
     .most = PRIORITY_MAX,
     .allowed = "0..9"},
    {.name = "deadline_seconds", .shape = SHAPE_INTEGER, .least = 1,
     .most = 604800, .allowed = "1..604800"},
    {.name = "account", .shape = SHAPE_NAME, .most = REQUEST_ACCOUNT_MAX,
     .allowed = "1..32" NAME_WORDS},
    {.name = "metadata", .shape = SHAPE_OBJECT, .most = 16384,
     .allowed = "an object of at most 16384 bytes as compact JSON"},
};

/* apimart.md "Submit"; the order is that of the body that is sent. */
static const struct field body_rows[] = {
    {.name = "model", .shape = SHAPE_CHOICE, .words = "pixverse-v6",
     .allowed = "\"pixverse-v6\"", .modes = 0 /* written by itself */},
    {.name = "prompt", .shape = SHAPE_TEXT, .least = 1, .most = 5000,
     .allowed = "a text of 1..5000 characters that is not blank",
     .modes = MODES_ALL},
    {.name = "resolution", .shape = SHAPE_CHOICE,
     .words = "360p 540p 720p 1080p",
     .allowed = "360p 540p 720p 1080p", .usual = "\"540p\"",
     .modes = MODES_ALL},
    {.name = "duration", .shape = SHAPE_INTEGER, .least = 1, .most = 15,
     .allowed = "1..15", .usual = "5", .modes = MODES_ALL},
    {.name = "size", .shape = SHAPE_CHOICE,
     .words = "16:9 4:3 1:1 3:4 9:16 2:3 3:2 21:9",
     .allowed = "16:9 4:3 1:1 3:4 9:16 2:3 3:2 21:9", .usual = "\"16:9\"",
     .modes = MODE_BIT(MODE_TEXT) | MODE_BIT(MODE_FUSION)},
    {.name = "seed", .shape = SHAPE_INTEGER, .least = 0, .most = 2147483647,
     .allowed = "0..2147483647", .usual = "0", .modes = MODES_ALL},
    {.name = "negative_prompt", .shape = SHAPE_TEXT, .least = 0, .most = 2048,
     .allowed = "a text of at most 2048 characters, empty or not blank",
     .usual = "\"\"", .modes = MODES_ALL},
    {.name = "audio", .shape = SHAPE_SWITCH, .allowed = "true or false",
     .usual = "false", .modes = MODES_ALL},
    {.name = "watermark", .shape = SHAPE_SWITCH, .allowed = "true or false",
     .usual = "false", .modes = MODES_ALL},
    {.name = "motion_mode", .shape = SHAPE_CHOICE, .words = "normal",
     .allowed = "normal", .usual = "\"normal\"", .modes = MODES_ALL},
    {.name = "generate_multi_clip_switch", .shape = SHAPE_SWITCH,
     .allowed = "true or false", .usual = "false",
     .modes = MODE_BIT(MODE_TEXT) | MODE_BIT(MODE_IMAGE)},
    {.name = "image_urls", .shape = SHAPE_URLS, .least = 1, .most = INT64_MAX,
     .allowed = "an array of 1 or more public http or https URLs",
     .modes = MODE_BIT(MODE_IMAGE), .starts = MODE_IMAGE},
    {.name = "first_frame_image", .shape = SHAPE_URL, .allowed = URL_WORDS,
     .modes = MODE_BIT(MODE_TRANSITION), .starts = MODE_TRANSITION},
    {.name = "last_frame_image", .shape = SHAPE_URL, .allowed = URL_WORDS,
     .modes = MODE_BIT(MODE_TRANSITION), .starts = MODE_TRANSITION},
    {.name = "img_references", .shape = SHAPE_URLS, .least = 1, .most = 7,
     .allowed = "an array of 1..7 public http or https URLs",
     .modes = MODE_BIT(MODE_FUSION), .starts = MODE_FUSION},
    {.name = "extend_from_task_id", .shape = SHAPE_ID, .most = 128,
     .allowed = "a task id of 1..128 visible ASCII characters",
     .modes = MODE_BIT(MODE_EXTEND), .starts = MODE_EXTEND},
    /* Not the provider's: what a body is joined at (source.h), the last one. */
    {.name = "extend_from_request_id", .shape = SHAPE_NAME, .most = 128,
     .allowed = "1..128" NAME_WORDS,
     .modes = MODE_BIT(MODE_EXTEND), .starts = MODE_EXTEND},
};
/* clang-format on */

const struct field_table envelope_fields = {envelope_rows,
                                            COUNT(envelope_rows)};
const struct field_table body_fields = {body_rows, COUNT(body_rows)};
_Static_assert(COUNT(body_rows) == BODY_FIELDS, "each has a place in a body");

/** What stands in a message for "is there, but of another type". */
static bool wrong_type(struct reading *reading, const struct field *field,
                       struct str path, const json_t *value)
{
    assert(field->shape <= SHAPE_OBJECT && field->allowed);
    static const char *const kinds[] = {
        [SHAPE_TEXT] = "",   [SHAPE_CHOICE] = "",
        [SHAPE_URL] = "",    [SHAPE_NAME] = "a text of ",
        [SHAPE_ID] = "",     [SHAPE_INTEGER] = "an integer, ",
        [SHAPE_SWITCH] = "", [SHAPE_URLS] = "",
        [SHAPE_OBJECT] = "",
    };
    reading_fault(reading, path, "wrong_type", "%.*s is %s, allowed: %s%s",
                  (int)path.len, path.at, reading_quote(reading, value),
                  kinds[field->shape], field->allowed);
    return false;
}

static struct str text_of(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

/** A number of many digits only looks like a text. */
static bool is_text(const json_t *value)
{
    return json_is_string(value) && !json_is_big(value);
}

/** White space of Unicode, too: a text of ideographic spaces says nothing. */
static bool is_blank(struct str text)
{
    static const char *const spaces[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80",
        "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84",
        "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
        "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
        "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
    };
    while (text.len) {
        size_t step = 0;
        unsigned char c = (unsigned char)text.at[0];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            step = 1;
        }
        for (size_t i = 0; c >= 0x80 && i < COUNT(spaces); i++) {
            if (str_starts(text, str_of(spaces[i]))) {
                step = strlen(spaces[i]);
            }
        }
        if (step == 0) {
            return false;
        }
        text.at += step;
        text.len -= step;
    }
    return true;
}

/** Blank or too long: what all texts have in common. */
static bool judge_length(struct reading *reading, const struct field *field,
                         struct str path, const json_t *value)
{
    assert(is_text(value));
    struct str text = text_of(value);
    if (is_blank(text) &&
        (text.len > 0 || field->shape != SHAPE_TEXT || field->least > 0)) {
        reading_fault(reading, path, "blank", "%.*s is blank, allowed: %s",
                      (int)path.len, path.at, field->allowed);
        return false;
    }
    size_t points = str_code_points(text);
    if (field->most && points > (size_t)field->most) {
        reading_fault(reading, path, "too_long",
                      "%.*s has %zu characters, allowed: at most %lld",
                      (int)path.len, path.at, points, (long long)field->most);
        return false;
    }
    return true;
}

static bool not_allowed(struct reading *reading, const struct field *field,
                        const json_t *value)
{
    reading_fault(reading, str_of(field->name), "not_allowed",
                  "%s is %s, allowed: %s", field->name,
                  reading_quote(reading, value), field->allowed);
    return false;
}

static bool judge_text(struct reading *reading, const struct field *field,
                       const json_t *value)
{
    struct str path = str_of(field->name);
    return is_text(value) ? judge_length(reading, field, path, value)
                          : wrong_type(reading, field, path, value);
}

static bool judge_choice(struct reading *reading, const struct field *field,
                         const json_t *value)
{
    assert(field->words && field->words[0]);
    struct str path = str_of(field->name);
    if (!is_text(value)) {
        return wrong_type(reading, field, path, value);
    }
    if (!judge_length(reading, field, path, value)) {
        return false;
    }
    struct str text = text_of(value);
    for (const char *word = field->words; *word;) {
        size_t len = strcspn(word, " ");
        if (str_eq(text, (struct str){word, len})) {
            return true;
        }
        word += len + (word[len] ? 1 : 0);
    }
    return not_allowed(reading, field, value);
}

static bool judge_integer(struct reading *reading, const struct field *field,
                          const json_t *value)
{
    assert(field->least <= field->most);
    struct str path = str_of(field->name);
    int64_t whole = 0;
    switch (json_to_i64(value, &whole)) {
    case JSON_NOT_WHOLE:
        return wrong_type(reading, field, path, value);
    case JSON_WHOLE:
        if (whole >= field->least && whole <= field->most) {
            return true;
        }
        break;
    case JSON_WHOLE_TOO_BIG:
        break;
    }
    reading_fault(reading, path, "out_of_range", "%s is %s, allowed: %s",
                  field->name, reading_quote(reading, value), field->allowed);
    return false;
}

static bool judge_switch(struct reading *reading, const struct field *field,
                         const json_t *value)
{
    return json_is_boolean(value) ||
           wrong_type(reading, field, str_of(field->name), value);
}

static bool judge_url_at(struct reading *reading, const struct field *field,
                         struct str path, const json_t *value)
{
    if (!is_text(value)) {
        return wrong_type(
            reading, &(struct field){.shape = SHAPE_URL, .allowed = URL_WORDS},
            path, value);
    }
    struct field one = {.shape = field->shape, .allowed = URL_WORDS};
    if (!judge_length(reading, &one, path, value)) {
        return false;
    }
    const char *why = NULL;
    enum url_fault fault = url_judge(text_of(value), &why);
    if (fault == URL_FINE) {
        return true;
    }
    char host[URL_HOST_BYTES];
    if (fault == URL_BAD && url_ascii_host(text_of(value), host)) {
        reading_fault(reading, path, "bad_url",
                      "%.*s is %s, which %s, allowed: " URL_WORDS
                      ", its host written as \"%s\"",
                      (int)path.len, path.at, reading_quote(reading, value),
                      why, host);
        return false;
    }
    reading_fault(reading, path, fault == URL_BAD ? "bad_url" : "private_url",
                  "%.*s is %s, which %s, allowed: " URL_WORDS, (int)path.len,
                  path.at, reading_quote(reading, value), why);
    return false;
}

static bool judge_url(struct reading *reading, const struct field *field,
                      const json_t *value)
{
    return judge_url_at(reading, field, str_of(field->name), value);
}

static bool judge_urls(struct reading *reading, const struct field *field,
                       const json_t *value)
{
    assert(field->least >= 1 && field->most >= field->least);
    if (!json_is_array(value)) {
        return wrong_type(reading, field, str_of(field->name), value);
    }
    size_t len = json_array_size(value);
    bool fine = true;
    if (len == 0) {
        reading_fault(reading, str_of(field->name), "blank",
                      "%s is empty, allowed: %s", field->name, field->allowed);
        return false;
    }
    if (len > (size_t)field->most) {
        reading_fault(reading, str_of(field->name), "too_many",
                      "%s has %zu elements, allowed: %lld..%lld", field->name,
                      len, (long long)field->least, (long long)field->most);
        fine = false;
    }
    for (size_t i = 0; i < len; i++) {
        char path[64] = "";
        if (!reading_is_full(reading)) {
            snprintf(path, sizeof path, "%s[%zu]", field->name, i);
        }
        fine = judge_url_at(reading, field, str_of(path),
                            json_array_get(value, i)) &&
               fine;
    }
    return fine;
}

static bool judge_name(struct reading *reading, const struct field *field,
                       const json_t *value)
{
    if (!judge_text(reading, field, value)) {
        return false;
    }
    struct str text = text_of(value);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        char low = (char)(c | 0x20);
        bool first = (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z');
        if (!first && (i == 0 || !(c == '.' || c == '_' || c == '-'))) {
            return not_allowed(reading, field, value);
        }
    }
    return true;
}

static bool judge_id(struct reading *reading, const struct field *field,
                     const json_t *value)
{
    if (!judge_text(reading, field, value)) {
        return false;
    }
    struct str text = text_of(value);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > '~') {
            return not_allowed(reading, field, value);
        }
    }
    return true;
}

static bool judge_object(struct reading *reading, const struct field *field,
                         const json_t *value)
{
    assert(field->most >= 0);
    if (!json_is_object(value)) {
        return wrong_type(reading, field, str_of(field->name), value);
    }
    if (field->most == 0) {
        return true;
    }
    struct buf text;
    buf_init(&text, 0);
    json_write(&text, value);
    bool fine = text.len <= (size_t)field->most;
    if (!fine) {
        reading_fault(reading, str_of(field->name), "too_large",
                      "%s has %zu bytes as compact JSON, allowed: at most %lld",
                      field->name, text.len, (long long)field->most);
    }
    reading->arena->failed |= text.failed;
    buf_done(&text);
    return fine;
}

bool field_judge(struct reading *reading, const struct field *field,
                 const json_t *value)
{
    assert(field && field->shape <= SHAPE_OBJECT && value);
    static bool (*const judges[])(struct reading *, const struct field *,
                                  const json_t *) = {
        [SHAPE_TEXT] = judge_text,       [SHAPE_CHOICE] = judge_choice,
        [SHAPE_INTEGER] = judge_integer, [SHAPE_SWITCH] = judge_switch,
        [SHAPE_URL] = judge_url,         [SHAPE_URLS] = judge_urls,
        [SHAPE_NAME] = judge_name,       [SHAPE_ID] = judge_id,
        [SHAPE_OBJECT] = judge_object,
    };
    return judges[field->shape](reading, field, value);
}

const struct field *field_find(const struct field_table *table, struct str name)
{
    assert(table->len > 0);
    for (size_t i = 0; i < table->len; i++) {
        const char *known = table->fields[i].name;
        if (name.len && known[0] == name.at[0] && str_eq(name, str_of(known))) {
            return &table->fields[i];
        }
    }
    return NULL;
}

/** Small letters without the marks between words, so that imageUrls is near. */
static struct str plain_name(struct str name, char out[static 64])
{
    size_t len = 0;
    for (size_t i = 0; i < name.len && len < 64; i++) {
        char c = name.at[i];
        if (c != '_' && c != '-' && c != ' ') {
            out[len++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
    }
    return (struct str){out, len};
}

const char *field_nearest(const struct field_table *table, struct str name)
{
    assert(table->len > 0);
    char room[64];
    char other_room[64];
    struct str plain = plain_name(name, room);
    const char *nearest = NULL;
    size_t least = 3; /* two slips at most */
    for (size_t i = 0; i < table->len; i++) {
        struct str other =
            plain_name(str_of(table->fields[i].name), other_room);
        size_t distance = str_distance(plain, other);
        if (distance < least && 2 * distance < other.len) {
            nearest = table->fields[i].name;
            least = distance;
        }
    }
    return nearest;
}
