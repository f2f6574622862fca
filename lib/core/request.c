#include "core/request.h"

#include "base/buf.h"
#include "core/json_room.h"
#include "core/request_body.h"
#include "core/request_fields.h"

#include <assert.h>
#include <string.h>

#define PRIORITY_USUAL 5
#define DIGESTED_BYTES 500 /* the room for most, made at once */

const char *request_reject_name(enum request_reject reject)
{
    static const char *const names[] = {
#define X(name, text) [name] = (text),
        REQUEST_REJECTS(X)
#undef X
    };
    assert((size_t)reject < sizeof names / sizeof *names);
    return names[reject];
}

struct str request_first_fault(const struct request *request)
{
    assert(request->faults.items || request->faults.len == 0);
    return request->faults.len ? request->faults.items[0].message
                               : (struct str){0};
}

/** false: no memory, or as many are there as are told. */
static bool add_late(struct details *details, struct arena *arena,
                     const char *field, const char *code, const char *message)
{
    assert(field[0] && code[0] && details->len <= REQUEST_DETAILS_MAX);
    size_t all = details->len;
    struct details grown = {0};
    struct detail detail = {
        .field = {arena_copy(arena, field, strlen(field)), strlen(field)},
        .code = code,
        .message = {arena_copy(arena, message, strlen(message)),
                    strlen(message)},
    };
    if (all == REQUEST_DETAILS_MAX || arena->failed) {
        return false; /* the last one counts the rest already */
    }
    grown.items = arena_alloc(arena, (all + 1) * sizeof *grown.items);
    if (!grown.items) {
        return false;
    }
    if (all) {
        memcpy(grown.items, details->items, all * sizeof *grown.items);
    }
    grown.items[all] = detail;
    grown.len = all + 1;
    *details = grown;
    return true;
}

void request_add_fault(struct request *request, struct arena *arena,
                       const char *field, const char *code, const char *message)
{
    assert(request->reject == REQUEST_NAMED);
    if (add_late(&request->faults, arena, field, code, message)) {
        request->body = (struct str){0};
    }
}

void request_add_warning(struct request *request, struct arena *arena,
                         const char *field, const char *code,
                         const char *message)
{
    assert(request->reject == REQUEST_NAMED);
    (void)add_late(&request->warnings, arena, field, code, message);
}

/* ---- the envelope ---- */

static struct str copy_text(struct reading *reading, const json_t *value)
{
    assert(json_is_string(value));
    size_t len = json_string_length(value);
    const char *copy =
        arena_copy(reading->arena, json_string_value(value), len);
    return (struct str){copy, copy ? len : 0};
}

static struct str copy_json(struct reading *reading, const json_t *value)
{
    struct buf out;
    buf_init(&out, 0);
    json_write(&out, value);
    const char *copy =
        out.failed ? NULL : arena_copy(reading->arena, out.bytes, out.len);
    struct str text = {copy, copy ? out.len : 0};
    reading->arena->failed |= out.failed;
    buf_done(&out);
    return text;
}

/** A field of the envelope if it is there and good, else null. */
static const json_t *good_field(struct reading *reading, const json_t *message,
                                const char *name)
{
    const json_t *value = json_object_get(message, name);
    const struct field *field = field_find(&envelope_fields, str_of(name));
    return value && field_judge(reading, field, value) ? value : NULL;
}

static void judge_unknown(struct reading *reading, const json_t *message)
{
    assert(json_is_object(message));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)message, key, value)
    {
        struct str name = str_of(key);
        if (field_find(&envelope_fields, name)) {
            continue;
        }
        if (reading_is_full(reading)) {
            reading_fault(reading, name, "unknown_field", "unknown field");
        } else {
            bool inside = field_find(&body_fields, name) != NULL;
            reading_unknown(reading, name,
                            inside ? NULL
                                   : field_nearest(&envelope_fields, name),
                            inside ? "inside \"request\"" : NULL);
        }
    }
}

/** It would wait for itself. */
static void judge_itself(struct reading *reading, const json_t *body,
                         struct str request_id)
{
    const json_t *value = json_object_get(body, "extend_from_request_id");
    const struct str source = {json_string_value(value),
                               json_string_length(value)};
    if (source.at && str_eq(source, request_id)) {
        reading_fault(reading, STR("extend_from_request_id"), "not_allowed",
                      "extend_from_request_id names this very request, "
                      "allowed: another one's id");
    }
}

/** Of a request of ours it is known which account has its task. */
static void judge_account(struct reading *reading, const json_t *body)
{
    if (!json_object_get(body, "extend_from_task_id")) {
        reading_fault(reading, STR("account"), "not_allowed",
                      "account is given without extend_from_task_id, allowed: "
                      "beside it, the account that has that task");
    }
}

static void read_envelope(struct reading *reading, const json_t *message,
                          struct request *request)
{
    assert(json_is_object(message));
    assert(request->reject == REQUEST_NAMED);
    const json_t *body = json_object_get(message, "request");
    if (!body) {
        reading_fault(reading, STR("request"), "required",
                      "request is missing, allowed: an object");
    }
    body = good_field(reading, message, "request");
    const json_t *tenant = good_field(reading, message, "tenant");
    if (tenant) {
        request->tenant = copy_text(reading, tenant);
    } else if (!json_object_get(message, "tenant")) {
        request->tenant = STR("default");
    }
    int64_t whole = PRIORITY_USUAL;
    const json_t *priority = good_field(reading, message, "priority");
    if (priority) {
        json_to_i64(priority, &whole);
    }
    request->priority = (int)whole;
    const json_t *deadline = good_field(reading, message, "deadline_seconds");
    if (deadline) {
        json_to_i64(deadline, &request->deadline_seconds);
    }
    const json_t *metadata = good_field(reading, message, "metadata");
    if (metadata) {
        request->metadata = copy_json(reading, metadata);
    }
    const json_t *account = good_field(reading, message, "account");
    if (account) {
        request->account = copy_text(reading, account);
    }
    judge_unknown(reading, message);
    if (body) {
        if (account) {
            judge_account(reading, body);
        }
        judge_itself(reading, body, request->request_id);
        struct request_body read = body_read(reading, body);
        request->mode = read.mode;
        request->body = read.text;
        request->like = read.like;
        request->extend_from_request_id = read.extend_from_request_id;
        request->extend_from_task_id = read.extend_from_task_id;
    }
}

/** SHA-256 over tenant and request, so written that equal values are equal. */
static void digest_content(struct reading *reading, const json_t *message,
                           unsigned char sum[DIGEST_BYTES])
{
    assert(json_is_object(message));
    const json_t *body = json_object_get(message, "request");
    const json_t *tenant = json_object_get(message, "tenant");
    struct buf text;
    buf_init(&text, 0);
    (void)buf_room(&text, DIGESTED_BYTES);
    buf_add_char(&text, '{');
    if (body) {
        buf_add_text(&text, "\"request\":");
        json_write_canonical(&text, body);
        buf_add_char(&text, ',');
    }
    buf_add_text(&text, "\"tenant\":");
    if (tenant) {
        json_write_canonical(&text, tenant);
    } else {
        buf_add_text(&text, "\"default\"");
    }
    buf_add_char(&text, '}');
    reading->arena->failed |= text.failed;
    digest_of(buf_str(&text), sum);
    buf_done(&text);
}

static enum request_reject read_id(struct arena *arena, const json_t *message,
                                   struct str *request_id)
{
    const json_t *value = json_object_get(message, "request_id");
    if (!value) {
        return REQUEST_NO_REQUEST_ID;
    }
    /* Its faults are told by the name of the rejection alone. */
    struct reading aside = {.arena = arena};
    if (!good_field(&aside, message, "request_id")) {
        return REQUEST_BAD_REQUEST_ID;
    }
    *request_id = copy_text(&aside, value);
    return REQUEST_NAMED;
}

/* ---- an order to cancel ---- */

static bool has_more(const json_t *message)
{
    static const char *const own[] = {"request_id", "cancel", "tenant"};
    size_t known = 0;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        known += json_object_get(message, own[i]) != NULL;
    }
    return json_object_size(message) > known;
}

/** Whatever has a `cancel` is no request: at fault, it uses no id up. */
static enum request_reject
read_cancel(struct arena *arena, const json_t *message, struct request *request)
{
    assert(request->reject == REQUEST_NAMED);
    struct reading aside = {.arena = arena};
    const json_t *tenant = json_object_get(message, "tenant");
    request->cancel = true;
    if (!json_is_true(json_object_get(message, "cancel"))) {
        request->why = STR("cancel has to be true");
    } else if (has_more(message)) {
        request->why = STR("a cancel has request_id, cancel and tenant, and "
                           "no other field");
    } else if (tenant && !good_field(&aside, message, "tenant")) {
        request->why = STR("tenant has to be 1 to 64 of A-Z a-z 0-9 . _ -, the "
                           "first a letter or digit");
    } else {
        request->tenant = tenant ? copy_text(&aside, tenant) : STR("default");
        return REQUEST_NAMED;
    }
    return REQUEST_BAD_CANCEL;
}

/** What stands in the message, or why nothing does. false: no memory. */
static bool read_value(struct str value, struct arena *arena,
                       struct request *read)
{
    bool no_memory = false;
    char where[JSON_WHERE_BYTES];
    const json_t *message = json_read_where(value, &no_memory, where);
    if (!message && !no_memory) {
        size_t len = strlen(where);
        read->why = (struct str){arena_copy(arena, where, len), len};
    }
    if (message) {
        read->reject = read_id(arena, message, &read->request_id);
    }
    if (message && read->reject == REQUEST_NAMED &&
        json_object_get(message, "cancel")) {
        read->reject = read_cancel(arena, message, read);
    } else if (message && read->reject == REQUEST_NAMED) {
        struct reading reading = {.arena = arena};
        read_envelope(&reading, message, read);
        digest_content(&reading, message, read->content);
        reading_count_rest(&reading);
        read->faults = reading.faults;
        read->warnings = reading.warnings;
    }
    return !no_memory;
}

bool request_read(struct str value, struct arena *arena,
                  struct request *request)
{
    assert(arena && request);
    struct request read = {.reject = REQUEST_NOT_JSON};
    bool fine = true;
    value = json_unframed(value);
    if (value.len > REQUEST_BYTES_MAX) {
        read.reject = REQUEST_TOO_LARGE;
    } else if (value.len > 0) {
        json_room_begin();
        fine = read_value(value, arena, &read);
        fine = json_room_end() && fine;
    }
    if (!fine || arena->failed) {
        return false;
    }
    *request = read;
    return true;
}
