#include "core/request_body.h"

#include "base/buf.h"
#include "core/request_fields.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BODY_BYTES 500 /* the room for most, made at once */

/** The members of a body by the rows of the table: each is asked for by
 * several of the judges below. */
struct body {
    const json_t *json;
    const json_t *values[BODY_FIELDS]; /* null: not there */
    bool unknown;                      /* it has others, too */
};

static struct body body_sort(const json_t *json)
{
    assert(json_is_object(json) && body_fields.len == BODY_FIELDS);
    struct body body = {.json = json};
    const char *key;
    json_t *value;
    /* jansson walks an object without changing it, yet asks for it unconst. */
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        const struct field *field = field_find(&body_fields, str_of(key));
        if (field) {
            body.values[field - body_fields.fields] = value;
        } else {
            body.unknown = true;
        }
    }
    return body;
}

static const json_t *body_get(const struct body *body, const char *name)
{
    const struct field *field = field_find(&body_fields, str_of(name));
    assert(field);
    return body->values[field - body_fields.fields];
}

/**
 * Presence alone tells the mode, since the provider may look at nothing else;
 * a second one is a conflict, told at the first field that asks for it.
 */
static enum request_mode find_mode(struct reading *reading,
                                   const struct body *body)
{
    assert(body->json);
    const struct field *first = NULL;
    unsigned told = 0;
    for (size_t i = 0; i < body_fields.len; i++) {
        const struct field *field = &body_fields.fields[i];
        if (!field->starts || !body->values[i]) {
            continue;
        }
        first = first ? first : field;
        if (field->starts != first->starts &&
            !(told & MODE_BIT(field->starts))) {
            told |= MODE_BIT(field->starts);
            reading_fault(reading, str_of(field->name), "conflict",
                          "%s asks for %s, %s for %s, allowed: one mode in a "
                          "request",
                          field->name, request_mode_name(field->starts),
                          first->name, request_mode_name(first->starts));
        }
    }
    if (told) {
        return MODE_NONE;
    }
    return first ? first->starts : MODE_TEXT;
}

static void judge_pair(struct reading *reading, const struct body *body)
{
    static const char *const pair[] = {"first_frame_image", "last_frame_image"};
    for (int i = 0; i < 2; i++) {
        if (body_get(body, pair[1 - i]) && !body_get(body, pair[i])) {
            reading_fault(reading, str_of(pair[i]), "incomplete_pair",
                          "%s is missing, allowed: first_frame_image and "
                          "last_frame_image, or neither",
                          pair[i]);
        }
    }
}

/** Transition takes 5 or 8 seconds only; what is outside 1..15 is told
 * already. */
static void judge_transition(struct reading *reading, const struct body *body)
{
    const json_t *value = body_get(body, "duration");
    int64_t seconds = 0;
    if (value && json_to_i64(value, &seconds) == JSON_WHOLE && seconds >= 1 &&
        seconds <= 15 && seconds != 5 && seconds != 8) {
        reading_fault(reading, STR("duration"), "not_allowed",
                      "duration is %s, allowed in transition: 5 or 8",
                      reading_quote(reading, value));
    }
}

static void judge_unknown(struct reading *reading, const struct body *body)
{
    if (!body->unknown) {
        return;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body->json, key, value)
    {
        struct str name = str_of(key);
        if (field_find(&body_fields, name)) {
            continue;
        }
        if (reading_is_full(reading)) {
            reading_fault(reading, name, "unknown_field", "unknown field");
        } else {
            const char *nearest = field_nearest(&body_fields, name);
            bool outside = !nearest && field_find(&envelope_fields, name);
            reading_unknown(reading, name, nearest,
                            outside ? "beside \"request\"" : NULL);
        }
    }
}

/** Whether the value is the one that the provider would take anyway. */
static bool is_usual(struct reading *reading, const struct field *field,
                     const json_t *value)
{
    struct buf text;
    buf_init(&text, 0);
    json_write_canonical(&text, value);
    bool same = field->usual && str_eq(buf_str(&text), str_of(field->usual));
    reading->arena->failed |= text.failed;
    buf_done(&text);
    return same;
}

/** Fields that the mode ignores, and images after the first. */
static void warn_no_effect(struct reading *reading, const struct body *body,
                           enum request_mode mode)
{
    assert(mode != MODE_NONE);
    for (size_t i = 0; i < body_fields.len; i++) {
        const struct field *field = &body_fields.fields[i];
        const json_t *value = body->values[i];
        if (value && field->modes && !(field->modes & MODE_BIT(mode)) &&
            !is_usual(reading, field, value)) {
            reading_warning(reading, str_of(field->name), "no_effect",
                            "%s has no effect in %s and was left out",
                            field->name, request_mode_name(mode));
        }
    }
    const json_t *images = body_get(body, "image_urls");
    for (size_t i = 1; i < json_array_size(images); i++) {
        char path[64] = "";
        if (reading->warnings_all < REQUEST_DETAILS_MAX) {
            snprintf(path, sizeof path, "image_urls[%zu]", i);
        }
        reading_warning(reading, str_of(path), "no_effect",
                        "%s has no effect and was left out: only the first "
                        "image is used",
                        path);
    }
}

static void write_field(struct buf *out, const struct field *field,
                        const json_t *value)
{
    buf_add_char(out, ',');
    buf_add_json(out, str_of(field->name));
    buf_add_char(out, ':');
    int64_t whole = 0;
    if (field->starts == MODE_IMAGE) {
        buf_add_char(out, '[');
        json_write(out, json_array_get(value, 0));
        buf_add_char(out, ']');
    } else if (field->shape == SHAPE_INTEGER &&
               json_to_i64(value, &whole) == JSON_WHOLE) {
        buf_add_i64(out, whole);
    } else {
        json_write(out, value);
    }
}

/** The bytes that every send will use. */
static struct str write_body(struct reading *reading, const struct body *body,
                             enum request_mode mode)
{
    assert(mode != MODE_NONE && reading->faults_all == 0);
    struct buf out;
    buf_init(&out, 0);
    (void)buf_room(&out, BODY_BYTES);
    buf_add_text(&out, "{\"model\":\"pixverse-v6\"");
    for (size_t i = 0; i < body_fields.len; i++) {
        const struct field *field = &body_fields.fields[i];
        const json_t *value = body->values[i];
        if (value && (field->modes & MODE_BIT(mode))) {
            write_field(&out, field, value);
        }
    }
    buf_add_char(&out, '}');
    struct str text = {
        out.failed ? NULL : arena_copy(reading->arena, out.bytes, out.len),
        out.len};
    reading->arena->failed |= out.failed;
    buf_done(&out);
    return text.at ? text : (struct str){0};
}

/** The provider's id of what it extends, or our own. */
static void judge_sources(struct reading *reading, const struct body *body)
{
    if (body_get(body, "extend_from_task_id") &&
        body_get(body, "extend_from_request_id")) {
        reading_fault(reading, STR("extend_from_request_id"), "conflict",
                      "extend_from_request_id stands beside "
                      "extend_from_task_id, allowed: one of both");
    }
}

/** Absent: there is no such field. */
static struct str copy_text(struct reading *reading, const struct body *body,
                            const char *name)
{
    const json_t *value = body_get(body, name);
    if (!value) {
        return (struct str){0};
    }
    size_t len = json_string_length(value);
    return (struct str){
        arena_copy(reading->arena, json_string_value(value), len), len};
}

/** What is left open is as the provider takes it. */
static struct price_like like_of(const struct body *body,
                                 enum request_mode mode)
{
    struct price_like like = {
        .mode = mode,
        .resolution = PRICE_RESOLUTION,
        .duration = PRICE_DURATION,
        .audio = json_is_true(body_get(body, "audio")),
    };
    const json_t *resolution = body_get(body, "resolution");
    int64_t seconds = 0;
    if (resolution) {
        like.resolution = price_resolution((struct str){
            json_string_value(resolution), json_string_length(resolution)});
    }
    const json_t *duration = body_get(body, "duration");
    if (duration && json_to_i64(duration, &seconds) == JSON_WHOLE) {
        like.duration = (int)seconds;
    }
    return like;
}

struct request_body body_read(struct reading *reading, const json_t *json)
{
    assert(json_is_object(json));
    const struct body sorted = body_sort(json);
    const struct body *body = &sorted;
    struct request_body read = {0};
    for (size_t i = 0; i < body_fields.len; i++) {
        const struct field *field = &body_fields.fields[i];
        const json_t *value = body->values[i];
        if (value) {
            field_judge(reading, field, value);
        } else if (strcmp(field->name, "prompt") == 0) {
            reading_fault(reading, str_of(field->name), "required",
                          "%s is missing, allowed: %s", field->name,
                          field->allowed);
        }
    }
    judge_unknown(reading, body);
    read.mode = find_mode(reading, body);
    judge_pair(reading, body);
    judge_sources(reading, body);
    if (read.mode == MODE_TRANSITION) {
        judge_transition(reading, body);
    }
    if (read.mode != MODE_NONE) {
        warn_no_effect(reading, body, read.mode);
    }
    if (reading->faults_all == 0) {
        read.text = write_body(reading, body, read.mode);
        read.like = like_of(body, read.mode);
        read.extend_from_task_id =
            copy_text(reading, body, "extend_from_task_id");
        read.extend_from_request_id =
            copy_text(reading, body, "extend_from_request_id");
    }
    return read;
}
