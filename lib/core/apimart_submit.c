#include "core/apimart.h"

#include "core/provider_error.h"
#include "core/retry.h"

#include <jansson.h>

/*
 * What a submission came to (CONTRACT "Refusals are …"; apimart.md).
 * Only what stands in this table was refused: all else is doubt.
 */

/* clang-format off */
static const struct verdict {
    int status;
    const char *word;       /* the error must say it; null: whatever it says */
    bool balance;           /* the error must be about the balance */
    enum outcome_kind kind;
    enum hold_reason hold;  /* PUT_OFF */
    enum failure_kind failure; /* REFUSED */
    bool key_running;
} verdicts[] = {
    /*     word                                 bal.   outcome                hold           failure                  key runs */
    {401, NULL,                                false, OUTCOME_PUT_OFF,       HOLD_AUTH,     FAILURE_NONE,            false},
    {402, NULL,                                false, OUTCOME_PUT_OFF,       HOLD_BALANCE,  FAILURE_NONE,            false},
    {403, NULL,                                true,  OUTCOME_PUT_OFF,       HOLD_BALANCE,  FAILURE_NONE,            false},
    {403, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_SUBMIT_REFUSED,  false},
    {404, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_SUBMIT_REFUSED,  false},
    {429, NULL,                                false, OUTCOME_PUT_OFF,       HOLD_THROTTLE, FAILURE_NONE,            false},
    {400, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {405, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {411, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {413, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {414, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {415, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {422, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {431, NULL,                                false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {500, "build_request_failed",              false, OUTCOME_REFUSED,       HOLD_NONE,     FAILURE_INVALID_REQUEST, false},
    {503, "idempotency_unavailable",           false, OUTCOME_PUT_OFF,       HOLD_THROTTLE, FAILURE_NONE,            false},
    {409, "idempotency_in_progress",           false, OUTCOME_PUT_OFF,       HOLD_THROTTLE, FAILURE_NONE,            true},
    {409, "idempotency_result_indeterminate",  false, OUTCOME_INDETERMINATE, HOLD_NONE,     FAILURE_NONE,            false},
    {409, "idempotency_key_reused",            false, OUTCOME_INDETERMINATE, HOLD_NONE,     FAILURE_NONE,            false},
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

static bool is_id(const json_t *value)
{
    return apimart_is_task_id(
        (struct str){json_string_value(value), json_string_length(value)});
}

/** The ids of one object; false once two are not the same. */
static bool gather_ids(const json_t *object, const json_t **id)
{
    static const char *const names[] = {"task_id", "id"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(object, names[i]);
        if (!is_id(value)) {
            continue;
        }
        if (*id && !json_equal(*id, value)) {
            return false;
        }
        *id = value;
    }
    return true;
}

/** The one id that a reply names; absent: none, or several. */
static struct str read_id(const struct reply *reply, struct arena *arena)
{
    struct str body = provider_json(reply->body, arena);
    json_t *root =
        json_loadb(body.at ? body.at : "", body.len, PROVIDER_JSON_FLAGS, NULL);
    const json_t *data = json_object_get(root, "data");
    const json_t *id = NULL;
    bool one = gather_ids(data, &id);
    for (size_t i = 0; one && i < json_array_size(data); i++) {
        one = gather_ids(json_array_get(data, i), &id);
    }
    struct str found = {0};
    if (one && id) {
        found.at =
            arena_copy(arena, json_string_value(id), json_string_length(id));
        found.len = found.at ? json_string_length(id) : 0;
    }
    json_decref(root);
    return found;
}

static const struct verdict *judge(const struct provider_error *error)
{
    if (error->status / 100 == 3) {
        return &redirected;
    }
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        const struct verdict *verdict = &verdicts[i];
        if (verdict->status == error->status &&
            (!verdict->word || provider_error_says(error, verdict->word)) &&
            (!verdict->balance || provider_error_is_balance(error))) {
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
    outcome->kind = reply->sent ? OUTCOME_UNANSWERED : OUTCOME_NOT_SENT;
    if (!reply->sent && reply->end == REPLY_UNTRUSTED) {
        outcome->hold = HOLD_CHANNEL;
    }
    outcome->message = why_unanswered(reply, arena);
}

static void answered(const struct reply *reply, struct arena *arena,
                     struct outcome *outcome)
{
    struct provider_error error;
    provider_error_read(reply, arena, &error);
    const struct verdict *verdict = judge(&error);
    outcome->kind = verdict->kind;
    outcome->hold = verdict->hold;
    outcome->failure = verdict->failure;
    outcome->key_running = verdict->key_running;
    outcome->message = error.message;
    outcome->provider_code = error.provider_code;
    if (verdict->kind == OUTCOME_REFUSED &&
        provider_error_is_moderation(&error)) {
        outcome->failure = FAILURE_MODERATION;
    }
    if (reply->status / 100 == 2 && !error.told) {
        outcome->message =
            STR("the provider accepted, but its answer names no single task");
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

void apimart_read_submit(const struct reply *reply, int64_t now_ms,
                         struct arena *arena, struct outcome *outcome)
{
    *outcome = (struct outcome){
        .progress = -1,
        .http_status = reply->sent ? reply->status : 0,
        .retry_after_ms = retry_after_ms(reply->retry_after, now_ms),
    };
    if (reply->sent && reply->status / 100 == 2) {
        /* An id is evidence, whatever stands beside it and even if the
         * connection broke after it: a paid video hangs on it. */
        outcome->provider_task_id = read_id(reply, arena);
        if (outcome->provider_task_id.len) {
            outcome->kind = OUTCOME_ACCEPTED;
            return;
        }
    }
    if (!reply->sent || reply->end != REPLY_WHOLE) {
        not_answered(reply, arena, outcome);
        return;
    }
    answered(reply, arena, outcome);
}
