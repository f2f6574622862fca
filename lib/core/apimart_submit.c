#include "core/apimart.h"

#include "core/accept_scan.h"
#include "core/provider_error.h"
#include "core/provider_json.h"
#include "core/retry.h"

#include <assert.h>
#include <jansson.h>

/*
 * What a submission came to (CONTRACT "Refusals are …"; apimart.md).
 * Only what stands in this table was refused: all else is doubt.
 */

#define EXCERPT_POINTS 200

typedef bool about_fn(const struct provider_error *error);

/* clang-format off */
static const struct verdict {
    int status;
    const char *word;       /* the error must say it; null: whatever it says */
    about_fn *about;        /* the error must be about it; null: about anything */
    enum outcome_kind kind;
    enum hold_reason hold;  /* PUT_OFF */
    enum failure_kind failure; /* REFUSED */
    bool key_running;
} verdicts[] = {
    /*     word                               about                        outcome                hold           failure                  key runs */
    {401, NULL,                               NULL,                        OUTCOME_PUT_OFF,       HOLD_AUTH,     FAILURE_NONE,            false},
    {402, NULL,                               NULL,                        OUTCOME_PUT_OFF,       HOLD_BALANCE,  FAILURE_NONE,            false},
    {403, NULL,                               provider_error_is_balance,   OUTCOME_PUT_OFF,       HOLD_BALANCE,  FAILURE_NONE,            false},
    {403, NULL,                               provider_error_is_channel,   OUTCOME_PUT_OFF,       HOLD_CHANNEL,  FAILURE_NONE,            false},
    {403, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_SUBMIT_REFUSED,  false},
    {404, NULL,                               provider_error_is_channel,   OUTCOME_PUT_OFF,       HOLD_CHANNEL,  FAILURE_NONE,            false},
    {404, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_SUBMIT_REFUSED,  false},
    {429, NULL,                               provider_error_is_no_money,  OUTCOME_PUT_OFF,       HOLD_BALANCE,  FAILURE_NONE,            false},
    {429, NULL,                               NULL,                        OUTCOME_PUT_OFF,       HOLD_THROTTLE, FAILURE_NONE,            false},
    {400, NULL,                               provider_error_is_no_money,  OUTCOME_PUT_OFF,       HOLD_BALANCE,  FAILURE_NONE,            false},
    {400, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {405, NULL,                               provider_error_is_channel,   OUTCOME_PUT_OFF,       HOLD_CHANNEL,  FAILURE_NONE,            false},
    {405, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {411, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {413, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {414, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {415, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {422, NULL,                               provider_error_is_no_money,  OUTCOME_PUT_OFF,       HOLD_BALANCE,  FAILURE_NONE,            false},
    {422, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {431, NULL,                               NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {500, "build_request_failed",             NULL,                        OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {503, "idempotency_unavailable",          NULL,                        OUTCOME_PUT_OFF,       HOLD_THROTTLE, FAILURE_NONE,            false},
    {409, "idempotency_in_progress",          NULL,                        OUTCOME_PUT_OFF,       HOLD_THROTTLE, FAILURE_NONE,            true},
    {409, "idempotency_result_indeterminate", NULL,                        OUTCOME_INDETERMINATE, HOLD_NONE,     FAILURE_NONE,            false},
    {409, "idempotency_key_reused",           NULL,                        OUTCOME_INDETERMINATE, HOLD_NONE,     FAILURE_NONE,            false},
};

static const struct verdict redirected = {
    .kind = OUTCOME_PUT_OFF, .hold = HOLD_CHANNEL,
};

static const struct verdict in_doubt = {.kind = OUTCOME_UNANSWERED};
/* clang-format on */

bool apimart_is_task_id(struct str text)
{
    if (text.len == 0 || text.len >= PROVIDER_TASK_ID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= 0x20 || text.at[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* ---- the id ---- */

/** Where an object stands says what its `id` is worth. */
enum place {
    PLACE_DATA, /* documented: any id is the task's */
    /* at the top, or inside a container of relays: perhaps it is the
     * answer's own */
    PLACE_ELSE,
};

/** The ids that a reply names, best first. */
struct ids {
    struct str best;
    int rank;         /* of the best; 0: none yet */
    struct str other; /* one more; absent: none */
    bool several;     /* two of the same rank: no rule chooses between them */
    bool strayed;     /* found only by looking everywhere */
};

/* `task_id` beats `id`; what is documented beats what is not. */
enum rank { RANK_NONE, RANK_ELSE_ID, RANK_DATA_ID, RANK_ELSE, RANK_DATA };

static const char *const id_names[] = {"task_id", "taskId", "taskid",
                                       "taskID",  "TaskId", "TaskID"};

static struct str text_of(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

static void note_id(struct ids *ids, struct str id, int rank)
{
    if (!apimart_is_task_id(id)) {
        return;
    }
    if (str_eq(id, ids->best)) {
        ids->several = ids->several && rank <= ids->rank;
        ids->rank = rank > ids->rank ? rank : ids->rank;
    } else if (rank > ids->rank) {
        ids->other = ids->rank ? ids->best : ids->other;
        ids->best = id;
        ids->rank = rank;
        ids->several = false;
    } else {
        ids->other = id;
        ids->several = ids->several || rank == ids->rank;
    }
}

static bool names_itself(struct str id)
{
    static const struct str lead = {"task_", 5};
    return id.len > lead.len && str_starts(id, lead);
}

/** An `id` elsewhere counts beside a status, or where it says what it is. */
static bool counts(const json_t *object, struct str id)
{
    if (names_itself(id)) {
        return true;
    }
    const struct str status = text_of(json_object_get(object, "status"));
    return str_trim(status).len > 0 &&
           !str_eq(id, text_of(json_object_get(object, "request_id")));
}

static void gather_ids(struct ids *ids, const json_t *object, enum place place)
{
    const bool data = place == PLACE_DATA;
    for (size_t i = 0; i < sizeof id_names / sizeof *id_names; i++) {
        note_id(ids, text_of(json_object_get(object, id_names[i])),
                data ? RANK_DATA : RANK_ELSE);
    }
    const struct str id = text_of(json_object_get(object, "id"));
    if (data || counts(object, id)) {
        note_id(ids, id, data ? RANK_DATA_ID : RANK_ELSE_ID);
    }
    const struct str bare = text_of(object);
    if (names_itself(bare)) {
        note_id(ids, bare, data ? RANK_DATA_ID : RANK_ELSE_ID);
    }
}

/** An object, or each of a list. */
static void gather_all(struct ids *ids, const json_t *value, enum place place)
{
    gather_ids(ids, value, place);
    for (size_t i = 0; i < json_array_size(value); i++) {
        gather_ids(ids, json_array_get(value, i), place);
    }
}

/** The text that begins behind `"name": "` and whose end is there; absent: it
 * is no such text. */
static struct str quoted_behind(struct str rest)
{
    const char marks[] = {'"', ':', '"'};
    for (size_t i = 0; i < sizeof marks; i++) {
        rest = i ? str_trim(rest) : rest;
        if (!rest.len || rest.at[0] != marks[i]) {
            return (struct str){0};
        }
        rest.at++;
        rest.len--;
    }
    const char *end = memchr(rest.at, '"', rest.len);
    const size_t len = end ? (size_t)(end - rest.at) : 0;
    return len && !memchr(rest.at, '\\', len) ? (struct str){rest.at, len}
                                              : (struct str){0};
}

/** In an answer that is cut, or in which something stands beside its JSON, or
 * that has it where nobody looks: an id that is there whole is there. */
static void scan_ids(struct ids *ids, struct str body)
{
    for (size_t i = 0; i < sizeof id_names / sizeof *id_names; i++) {
        const struct str name = str_of(id_names[i]);
        struct str rest = body;
        for (ptrdiff_t at = 0; (at = str_find_nocase(rest, name)) >= 0;) {
            const bool begun = at > 0 && rest.at[at - 1] == '"';
            rest.at += (size_t)at + name.len;
            rest.len -= (size_t)at + name.len;
            note_id(ids, begun ? quoted_behind(rest) : (struct str){0},
                    RANK_ELSE);
        }
    }
}

static struct str copy_id(struct str id, struct arena *arena)
{
    const char *copy = id.len ? arena_copy(arena, id.at, id.len) : NULL;
    return (struct str){copy, copy ? id.len : 0};
}

/** Slices of *ids are copies; `best` is absent: none, or several. */
static void read_ids(const struct reply *reply, struct arena *arena,
                     struct ids *ids)
{
    assert(reply->sent);
    static const char *const containers[] = {"data",  "result",   "output",
                                             "task",  "video",    "task_ids",
                                             "tasks", "response", "Response"};
    struct str plain = {0};
    *ids = (struct ids){0};
    if (accept_scan(reply->body, &plain)) {
        note_id(ids, plain, RANK_DATA);
        ids->best = copy_id(ids->best, arena);
        return;
    }
    struct str body = provider_json(reply->body, arena);
    size_t parsed = 0;
    json_t *root = provider_json_read(body, &parsed);
    const json_t *data = json_object_get(root, "data");
    if (parsed == 0) {
        scan_ids(ids, reply->body); /* not as it was made fit to be read */
    } else if (parsed < body.len) {
        scan_ids(ids, (struct str){body.at + parsed, body.len - parsed});
    }
    gather_all(ids, data, PLACE_DATA);
    gather_all(ids, root, PLACE_ELSE);
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) {
        const json_t *inside = json_object_get(root, containers[i]);
        if (inside != data) {
            gather_all(ids, inside, PLACE_ELSE);
        }
        gather_all(ids, json_object_get(data, containers[i]), PLACE_ELSE);
    }
    if (root && !ids->rank) {
        scan_ids(ids, reply->body);
        ids->strayed = ids->rank > 0;
    }
    ids->best = copy_id(ids->best, arena);
    ids->other = copy_id(ids->other, arena);
    json_decref(root);
}

/* ---- the verdict ---- */

static const struct verdict *judge(const struct provider_error *error)
{
    if (error->status / 100 == 3) {
        return &redirected;
    }
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        const struct verdict *verdict = &verdicts[i];
        if (verdict->status == error->status &&
            (!verdict->word || provider_error_says(error, verdict->word)) &&
            (!verdict->about || verdict->about(error))) {
            return verdict;
        }
    }
    return &in_doubt;
}

static struct str why_unanswered(const struct reply *reply, struct arena *arena)
{
    const char *text =
        arena_printf(arena, "%s: %s", reply_end_name(reply->end),
                     reply->why[0] ? reply->why : "the exchange ended early");
    return str_of(text ? text : "the exchange ended early");
}

static void not_answered(const struct reply *reply, struct arena *arena,
                         struct outcome *outcome)
{
    assert(!reply->sent || reply->end != REPLY_WHOLE);
    outcome->kind = reply->sent ? OUTCOME_UNANSWERED : OUTCOME_NOT_SENT;
    if (!reply->sent && reply->end == REPLY_UNTRUSTED) {
        outcome->hold = HOLD_CHANNEL;
    }
    outcome->message = why_unanswered(reply, arena);
}

/** What an operator needs to find the task, if there is one. */
static struct str why_unread(const struct reply *reply, const struct ids *ids,
                             struct arena *arena)
{
    assert(reply->status / 100 == 2);
    const char *text = NULL;
    if (ids->strayed && !ids->several) {
        text = arena_printf(arena,
                            "the provider's answer tells an error, and names "
                            "%.*s somewhere in it",
                            (int)ids->best.len, ids->best.at);
    } else if (ids->several) {
        text = arena_printf(arena,
                            "the provider accepted, but its answer names "
                            "several tasks: %.*s, %.*s",
                            (int)ids->best.len, ids->best.at,
                            (int)ids->other.len, ids->other.at);
    } else {
        const struct str body = provider_text(provider_json(reply->body, arena),
                                              EXCERPT_POINTS, arena);
        text = arena_printf(arena,
                            "the provider accepted, but its answer names no "
                            "task: %.*s",
                            (int)body.len, body.at);
    }
    return str_of(text ? text : "the provider accepted");
}

static void answered(const struct reply *reply, const struct ids *ids,
                     struct arena *arena, struct outcome *outcome)
{
    assert(reply->sent && reply->end == REPLY_WHOLE);
    struct provider_error error;
    provider_error_read(reply, arena, &error);
    const bool doubtful = ids->several || ids->strayed;
    const struct verdict *verdict = doubtful ? &in_doubt : judge(&error);
    outcome->kind = verdict->kind;
    outcome->hold = verdict->hold;
    outcome->failure = verdict->failure;
    outcome->key_running = verdict->key_running;
    outcome->crowded = verdict->hold == HOLD_THROTTLE && verdict->status == 429;
    outcome->message = error.message;
    outcome->provider_code = error.provider_code;
    if (verdict->hold == HOLD_CHANNEL && !error.worded) {
        const char *text = arena_printf(
            arena, "%.*s, not in its own words: a firewall or a gateway?",
            (int)error.message.len, error.message.at);
        outcome->message = text ? str_of(text) : error.message;
    }
    if (verdict->kind == OUTCOME_REFUSED &&
        provider_error_is_moderation(&error)) {
        outcome->failure = FAILURE_MODERATION;
    }
    if (reply->status / 100 == 2 && (!error.told || doubtful)) {
        outcome->unread = true;
        outcome->message = why_unread(reply, ids, arena);
    }
    if (arena->failed) {
        /* What was not read whole may have said anything. */
        *outcome = (struct outcome){
            .kind = OUTCOME_UNANSWERED,
            .progress = -1,
            .http_status = outcome->http_status,
            .message = STR("there was no memory to read the answer"),
        };
    }
}

/** An id is evidence, whatever stands beside it and even if the connection
 * broke after it: a paid video hangs on it. One in an odd place beside an error
 * may be of another task: that is for people to say. */
static bool accepted(const struct reply *reply, const struct ids *ids,
                     struct arena *arena, struct outcome *outcome)
{
    if (!ids->best.len || ids->several) {
        return false;
    }
    if (ids->strayed) {
        struct provider_error error;
        provider_error_read(reply, arena, &error);
        if (error.told) {
            return false;
        }
    }
    outcome->kind = OUTCOME_ACCEPTED;
    outcome->provider_task_id = ids->best;
    if (ids->other.len) {
        const char *text = arena_printf(arena, "its answer also names %.*s",
                                        (int)ids->other.len, ids->other.at);
        outcome->message = str_of(text ? text : "its answer names several ids");
    }
    return true;
}

void apimart_read_submit(const struct reply *reply, int64_t now_ms,
                         struct arena *arena, struct outcome *outcome)
{
    assert(reply && arena && outcome);
    assert(now_ms >= 0);
    *outcome = (struct outcome){
        .progress = -1,
        .http_status = reply->sent ? reply->status : 0,
        .retry_after_ms = retry_after_ms(reply->retry_after, now_ms),
    };
    struct ids ids = {0};
    const bool good = reply->sent && reply->status / 100 == 2;
    if (good) {
        read_ids(reply, arena, &ids);
    }
    if (good && accepted(reply, &ids, arena, outcome)) {
        return;
    }
    if (!reply->sent || reply->end != REPLY_WHOLE) {
        not_answered(reply, arena, outcome);
        return;
    }
    answered(reply, &ids, arena, outcome);
}
