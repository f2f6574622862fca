#include "core/event.h"

#include "base/buf.h"
#include "core/apimart.h"
#include "core/digest.h"
#include "core/json.h"
#include "core/provider_error.h"

#include <assert.h>
#include <stdio.h>

#define PROVIDER "apimart"
#define MODEL "pixverse-v6"
/* a longer state is left out, or it could fill the event */
#define TRACE_BYTES_MAX 8192

/*
 * The stored form: one text, each piece with its length, the value last. Of the
 * headers, what is the same in all events is not stored, nor is the key twice;
 * a trace comes behind the time.
 *
 *   event/2
 *   key 17
 *   order-1234.clip-1
 *   ce_type 26
 *   video.generation.completed
 *   ce_id 36
 *   …
 *   ce_time 24
 *   …
 *   value 1234
 *   {…}
 */
#define STORED_MARK "event/2\n"

/* ---- the body ---- */

static void add_name(struct buf *out, const char *name)
{
    assert(name[0]);
    const char last = out->len ? out->bytes[out->len - 1] : '{';
    if (last != '{' && last != '[') {
        buf_add_char(out, ',');
    }
    buf_add_char(out, '"');
    buf_add_text(out, name);
    buf_add_text(out, "\":");
}

/** A field without a value is left out, never null. */
static void add_text(struct buf *out, const char *name, struct str text)
{
    assert(name[0]);
    if (text.len) {
        add_name(out, name);
        buf_add_json(out, text);
    }
}

static void add_json(struct buf *out, const char *name, struct str json)
{
    assert(name[0]);
    if (json.len) {
        add_name(out, name);
        buf_add_str(out, json);
    }
}

static void add_time(struct buf *out, const char *name, int64_t time_ms)
{
    char text[25];
    if (time_ms) {
        str_time(time_ms, text);
        add_text(out, name, str_of(text));
    }
}

/** Thousandths, in the fewest digits. */
static void add_milli(struct buf *out, const char *name, int64_t milli)
{
    if (milli) {
        add_name(out, name);
        buf_add_double(out, (double)milli / 1000);
    }
}

/** What can't be read of a film is left out. */
static void add_media(struct buf *out, const struct media *media)
{
    if (!media_is_known(media)) {
        return;
    }
    add_name(out, "media");
    buf_add_char(out, '{');
    if (media->width) {
        assert(media->height > 0);
        add_name(out, "width");
        buf_add_i64(out, media->width);
        add_name(out, "height");
        buf_add_i64(out, media->height);
    }
    add_milli(out, "duration", media->duration_ms);
    add_milli(out, "frame_rate", media->frame_rate_milli);
    if (media->codecs[0][0]) {
        add_name(out, "codecs");
        buf_add_char(out, '[');
        for (size_t i = 0; i < MEDIA_TRACKS_MAX && media->codecs[i][0]; i++) {
            buf_add_text(out, i ? "," : "");
            buf_add_json(out, str_of(media->codecs[i]));
        }
        buf_add_char(out, ']');
    }
    if (media->audio != MEDIA_AUDIO_UNKNOWN) {
        add_json(out, "audio",
                 media->audio == MEDIA_AUDIO_THERE ? STR("true")
                                                   : STR("false"));
    }
    buf_add_char(out, '}');
}

static void add_videos(struct buf *out, const struct stored_video *videos,
                       size_t len)
{
    assert(videos || len == 0);
    add_name(out, "videos");
    buf_add_char(out, '[');
    for (size_t i = 0; i < len; i++) {
        buf_add_text(out, i ? ",{" : "{");
        add_text(out, "uri", videos[i].uri);
        add_name(out, "bytes");
        buf_add_i64(out, videos[i].bytes);
        add_text(out, "sha256", str_of(videos[i].sha256));
        add_text(out, "content_type", STR("video/mp4"));
        add_media(out, &videos[i].media);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void add_cost(struct buf *out, const struct task_row *row)
{
    if (!row->has_cost) {
        return;
    }
    add_name(out, "cost");
    buf_add_double(out, row->cost);
    if (row->credits_cost != 0 || row->cost == 0) { /* else: not told */
        add_name(out, "credits_cost");
        buf_add_double(out, row->credits_cost);
    }
}

static void add_times(struct buf *out, const struct task_row *row)
{
    add_name(out, "times");
    buf_add_char(out, '{');
    add_time(out, "received", row->received_ms);
    add_time(out, "submitted", row->submitted_ms);
    add_time(out, "generated", row->generated_ms);
    add_time(out, "stored", row->stored_ms);
    add_time(out, "settled", row->settled_ms);
    buf_add_char(out, '}');
}

/** What an event is made from. */
struct end {
    const struct task_row *row;
    const struct facts *facts;
    struct failure failure; /* of kind FAILURE_NONE: it is a completed one */
    const struct details *details;
    const struct stored_video *videos;
    size_t videos_len;
    const struct details *differs; /* null: nothing does */
    bool bare; /* over its bound: without what can be as long as it likes */
};

static void add_error(struct buf *out, const struct end *end,
                      struct arena *arena)
{
    const struct failure *failure = &end->failure;
    assert(failure->kind != FAILURE_NONE);
    add_name(out, "error");
    buf_add_char(out, '{');
    add_text(out, "kind", str_of(failure_kind_name(failure->kind)));
    add_name(out, "message");
    buf_add_json(
        out, provider_text(failure->message, PROVIDER_TEXT_POINTS_MAX, arena));
    add_name(out, "retry_safe");
    buf_add_text(out,
                 task_retry_safe(end->row, failure->kind) ? "true" : "false");
    if (failure->http_status) {
        add_name(out, "http_status");
        buf_add_i64(out, failure->http_status);
    }
    add_text(
        out, "provider_code",
        provider_text(failure->provider_code, PROVIDER_CODE_POINTS_MAX, arena));
    if (end->details && end->details->len && !end->bare) {
        add_json(out, "details", details_to_json(end->details, arena));
    }
    buf_add_char(out, '}');
}

/** What was stored as JSON, if it still is: broken bytes would be an event that
 * nobody can read. */
static struct str stored_json(struct buf *out, struct str text, json_type type)
{
    bool no_memory = false;
    if (type == JSON_ARRAY && str_eq(text, STR("[]"))) {
        return text; /* the usual one */
    }
    json_t *value = text.len ? json_read(text, &no_memory) : NULL;
    const bool good = value && json_typeof(value) == type;
    json_decref(value);
    out->failed = out->failed || no_memory;
    return good ? text : (struct str){0};
}

/** What stands between the brackets of an array. */
static struct str inside(struct str array)
{
    array = str_trim(array);
    return array.len < 2 ? (struct str){0}
                         : str_trim((struct str){array.at + 1, array.len - 2});
}

/** The request's own, then those of the delivery. */
static void add_warnings(struct buf *out, const struct end *end,
                         struct arena *arena)
{
    struct str own = stored_json(out, end->facts->warnings, JSON_ARRAY);
    struct str more = {0};
    own = end->bare ? (struct str){0} : own;
    if (end->differs && end->differs->len) {
        more = inside(details_to_json(end->differs, arena));
    }
    if (!more.len) {
        add_json(out, "warnings", own.len ? own : STR("[]"));
        return;
    }
    own = inside(own);
    add_name(out, "warnings");
    buf_add_char(out, '[');
    buf_add_str(out, own);
    buf_add_text(out, own.len ? "," : "");
    buf_add_str(out, more);
    buf_add_char(out, ']');
}

static void add_body(struct buf *out, const struct end *end,
                     struct arena *arena)
{
    const struct task_row *row = end->row;
    const struct facts *facts = end->facts;
    assert(end->row && end->facts);
    const bool failed = end->failure.kind != FAILURE_NONE;
    buf_add_char(out, '{');
    add_text(out, "request_id", facts->request_id);
    add_text(out, "tenant", facts->tenant);
    add_text(out, "status", failed ? STR("failed") : STR("completed"));
    if (row->late && !failed) {
        add_json(out, "late", STR("true"));
    }
    add_text(out, "mode", str_of(request_mode_name(facts->mode)));
    add_text(out, "provider", STR(PROVIDER));
    add_text(out, "model", STR(MODEL));
    add_text(out, "account", apimart_account_name(row->account));
    add_text(out, "provider_task_id", str_of(row->provider_task_id));
    if (failed) {
        add_error(out, end, arena);
    } else {
        add_videos(out, end->videos, end->videos_len);
    }
    add_cost(out, row);
    add_text(out, "billed", str_of(task_billed(row, end->failure.kind)));
    add_times(out, row);
    add_warnings(out, end, arena);
    if (!end->bare) {
        add_json(out, "metadata",
                 stored_json(out, facts->metadata, JSON_OBJECT));
    }
    buf_add_char(out, '}');
}

/* ---- headers ---- */

static void add_header(struct event *event, struct str name, struct str value)
{
    assert(event->headers_len < EVENT_HEADERS_MAX);
    event->headers[event->headers_len++] = (struct event_header){name, value};
}

/** Those that every event has. */
static void add_usual(struct event *event, struct str type, struct str id,
                      struct str time)
{
    add_header(event, STR("ce_specversion"), STR("1.0"));
    add_header(event, STR("ce_type"), type);
    add_header(event, STR("ce_source"), STR("/pixverse-worker"));
    add_header(event, STR("ce_id"), id);
    add_header(event, STR("ce_subject"), event->key);
    add_header(event, STR("ce_time"), time);
    add_header(event, STR("content-type"), STR("application/json"));
}

/* Places among them of what is stored, and how many they are. */
enum { TYPE_AT = 1, ID_AT = 3, TIME_AT = 5, USUAL_LEN = 7 };

/** The stored form is a text of PostgreSQL's: UTF-8 without NUL. */
static void add_trace(struct event *event, struct str name, struct str value)
{
    if (value.len && value.len <= TRACE_BYTES_MAX && str_is_utf8(value) &&
        !memchr(value.at, '\0', value.len)) {
        add_header(event, name, value);
    }
}

static bool add_headers(struct event *event, const struct facts *facts,
                        struct str type, struct str id, int64_t time_ms,
                        struct arena *arena)
{
    char text[25];
    str_time(time_ms, text);
    const char *time = arena_copy(arena, text, strlen(text));
    add_usual(event, type, id, str_of(time));
    add_trace(event, STR("traceparent"), facts->traceparent);
    add_trace(event, STR("tracestate"), facts->tracestate);
    return time != NULL;
}

/** The same for every delivery, another for each ordered submission. */
static struct str event_id(struct str type, struct str request_id,
                           int32_t submission, struct arena *arena)
{
    struct buf name;
    buf_init(&name, 0);
    buf_add_str(&name, type);
    buf_add_char(&name, '/');
    buf_add_str(&name, request_id);
    if (submission > 0) {
        buf_add_char(&name, '/');
        buf_add_i64(&name, submission);
    }
    char *id = name.failed ? NULL : arena_alloc(arena, 37);
    if (id) {
        digest_uuid5_url(buf_str(&name), id);
    }
    buf_done(&name);
    return str_of(id);
}

/* ---- the stored form ---- */

static void add_piece(struct buf *out, struct str name, struct str bytes)
{
    buf_add_str(out, name);
    buf_add_char(out, ' ');
    buf_add_i64(out, (int64_t)bytes.len);
    buf_add_char(out, '\n');
    buf_add_str(out, bytes);
    buf_add_char(out, '\n');
}

static char *store(const struct event *event, struct arena *arena, size_t *len)
{
    assert(event->headers_len > 0);
    struct buf out;
    buf_init(&out, 0);
    buf_add_text(&out, STORED_MARK);
    add_piece(&out, STR("key"), event->key);
    for (size_t i = 0; i < event->headers_len; i++) {
        if (i == TYPE_AT || i == ID_AT || i == TIME_AT || i >= USUAL_LEN) {
            add_piece(&out, event->headers[i].name, event->headers[i].value);
        }
    }
    add_piece(&out, STR("value"), event->value);
    char *stored = out.failed ? NULL : arena_copy(arena, out.bytes, out.len);
    *len = out.len;
    buf_done(&out);
    return stored;
}

static char *render(const struct end *end, struct arena *arena, size_t *len)
{
    const struct str type = end->failure.kind != FAILURE_NONE
                                ? STR("video.generation.failed")
                                : STR("video.generation.completed");
    struct event event = {.key = end->facts->request_id};
    const struct str id =
        event_id(type, end->facts->request_id, end->row->submission, arena);
    if (!id.len || !add_headers(&event, end->facts, type, id,
                                end->row->settled_ms, arena)) {
        return NULL;
    }
    struct buf body;
    buf_init(&body, 0);
    add_body(&body, end, arena);
    event.value = buf_str(&body);
    char *stored = body.failed ? NULL : store(&event, arena, len);
    buf_done(&body);
    return arena->failed ? NULL : stored;
}

char *event_render(const struct task_row *row, const struct facts *facts,
                   const struct failure *failure, const struct details *details,
                   const struct stored_video *videos, size_t videos_len,
                   const struct details *differs, struct arena *arena)
{
    assert(row && facts && arena);
    assert(videos || videos_len == 0);
    struct end end = {
        .row = row,
        .facts = facts,
        .details = details,
        .videos = videos,
        .videos_len = videos_len,
        .differs = differs,
    };
    if (failure) {
        end.failure = *failure;
    }
    if (details && details->len) {
        end.failure.kind = FAILURE_INVALID_REQUEST;
        end.failure.message = details->items[0].message;
    }
    size_t len = 0;
    char *stored = render(&end, arena, &len);
    if (stored && len > EVENT_BYTES_MAX) {
        /* Every part has its own bound, so that this is not to be expected; an
         * event that no broker takes would hold its task for ever. */
        end.bare = true;
        stored = render(&end, arena, &len);
    }
    return stored;
}

/** Take "name length\n" off the front. */
static bool take_line(struct str *rest, struct str *name, size_t *len)
{
    const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    const char *space =
        end ? memrchr(rest->at, ' ', (size_t)(end - rest->at)) : NULL;
    int64_t value = 0;
    if (!space) {
        return false;
    }
    const struct str digits = {space + 1, (size_t)(end - space) - 1};
    if (!str_to_i64(digits, 0, (int64_t)rest->len, &value)) {
        return false;
    }
    *name = (struct str){rest->at, (size_t)(space - rest->at)};
    *len = (size_t)value;
    rest->len -= (size_t)(end + 1 - rest->at);
    rest->at = end + 1;
    return true;
}

static bool take_piece(struct str *rest, struct str *name, struct str *bytes)
{
    assert(rest->at || !rest->len);
    size_t len = 0;
    if (!take_line(rest, name, &len) || rest->len < len + 1 ||
        rest->at[len] != '\n') {
        return false;
    }
    *bytes = (struct str){rest->at, len};
    rest->at += len + 1;
    rest->len -= len + 1;
    return true;
}

static bool take_named(struct str *rest, struct str name, struct str *bytes)
{
    struct str found;
    return take_piece(rest, &found, bytes) && str_eq(found, name);
}

bool event_open(struct str stored, struct event *event)
{
    struct event found = {0};
    struct str name;
    struct str type;
    struct str id;
    struct str time;
    struct str bytes;
    if (!str_starts(stored, STR(STORED_MARK))) {
        return false;
    }
    struct str rest = {stored.at + sizeof STORED_MARK - 1,
                       stored.len - (sizeof STORED_MARK - 1)};
    if (!take_named(&rest, STR("key"), &found.key) ||
        !take_named(&rest, STR("ce_type"), &type) ||
        !take_named(&rest, STR("ce_id"), &id) ||
        !take_named(&rest, STR("ce_time"), &time)) {
        return false;
    }
    add_usual(&found, type, id, time);
    while (take_piece(&rest, &name, &bytes)) {
        if (str_eq(name, STR("value"))) {
            found.value = bytes;
            *event = found;
            return rest.len == 0;
        }
        if (found.headers_len == EVENT_HEADERS_MAX) {
            return false;
        }
        add_header(&found, name, bytes);
    }
    return false;
}

/* ---- taken in ---- */

/** A copy as the value of a message; false: no memory. */
static bool take_body(struct buf *body, struct arena *arena,
                      struct event *event)
{
    event->value.at =
        body->failed ? NULL : arena_copy(arena, body->bytes, body->len);
    event->value.len = event->value.at ? body->len : 0;
    buf_done(body);
    return event->value.at != NULL;
}

bool event_accepted(const struct facts *facts, struct arena *arena,
                    struct event *event)
{
    assert(facts->request_id.len && facts->tenant.len && facts->received_ms);
    const struct str type = STR("video.generation.accepted");
    *event = (struct event){.key = facts->request_id};
    const struct str id = event_id(type, facts->request_id, 0, arena);
    if (!id.len ||
        !add_headers(event, facts, type, id, facts->received_ms, arena)) {
        return false;
    }
    struct buf body;
    buf_init(&body, EVENT_BYTES_MAX);
    buf_add_char(&body, '{');
    add_text(&body, "request_id", facts->request_id);
    add_text(&body, "tenant", facts->tenant);
    add_text(&body, "status", STR("accepted"));
    add_text(&body, "mode", str_of(request_mode_name(facts->mode)));
    add_text(&body, "provider", STR(PROVIDER));
    add_text(&body, "model", STR(MODEL));
    add_name(&body, "times");
    buf_add_char(&body, '{');
    add_time(&body, "received", facts->received_ms);
    buf_add_char(&body, '}');
    const struct str own = stored_json(&body, facts->warnings, JSON_ARRAY);
    add_json(&body, "warnings", own.len ? own : STR("[]"));
    add_json(&body, "metadata",
             stored_json(&body, facts->metadata, JSON_OBJECT));
    buf_add_char(&body, '}');
    return take_body(&body, arena, event);
}

/* ---- progress ---- */

static struct str random_id(const unsigned char random[16], struct arena *arena)
{
    char *id = arena_alloc(arena, 37);
    if (id) {
        digest_uuid(random, 4, id);
    }
    return str_of(id);
}

bool event_progress(const struct task_row *row, const struct facts *facts,
                    struct str status, int progress, int64_t now_ms,
                    const unsigned char random[16], struct arena *arena,
                    struct event *event)
{
    assert(row && facts && event);
    *event = (struct event){.key = facts->request_id};
    const struct str id = random_id(random, arena);
    if (!id.len || !add_headers(event, facts, STR("video.generation.progress"),
                                id, now_ms, arena)) {
        return false;
    }
    struct buf body;
    buf_init(&body, EVENT_BYTES_MAX);
    buf_add_char(&body, '{');
    add_text(&body, "request_id", facts->request_id);
    add_text(&body, "tenant", facts->tenant);
    add_text(&body, "provider_task_id", str_of(row->provider_task_id));
    add_text(&body, "status", status);
    if (progress >= 0) {
        add_name(&body, "progress");
        buf_add_i64(&body, progress);
    }
    buf_add_char(&body, '}');
    return take_body(&body, arena, event);
}
