#include "core/apimart.h"

#include "base/buf.h"
#include "core/json.h"
#include "core/provider_error.h"
#include "core/provider_json.h"
#include "core/retry.h"
#include "core/status_scan.h"

#include <assert.h>
#include <jansson.h>

/*
 * What a poll came to (apimart.md). A poll decides nothing about
 * money: what can't be understood is a missed poll, an unknown status means
 * that the task still runs.
 */

/* the year 9999; above it is not seconds */
#define SECONDS_MAX 253402300799.0
#define URLS_MAX 128 /* so that an event stays within its bound */

/* clang-format off */
static const struct {
    const char *word;
    enum outcome_kind kind;
    enum failure_kind failure; /* UPSTREAM_FAILED, unless it is moderation */
} statuses[] = {
    {"completed", OUTCOME_FINISHED, FAILURE_NONE},
    {"complete", OUTCOME_FINISHED, FAILURE_NONE},
    {"succeeded", OUTCOME_FINISHED, FAILURE_NONE},
    {"succeed", OUTCOME_FINISHED, FAILURE_NONE},
    {"success", OUTCOME_FINISHED, FAILURE_NONE},
    {"successful", OUTCOME_FINISHED, FAILURE_NONE},
    {"finished", OUTCOME_FINISHED, FAILURE_NONE},
    {"finish", OUTCOME_FINISHED, FAILURE_NONE},
    {"done", OUTCOME_FINISHED, FAILURE_NONE},
    {"成功", OUTCOME_FINISHED, FAILURE_NONE},
    {"完成", OUTCOME_FINISHED, FAILURE_NONE},
    {"已完成", OUTCOME_FINISHED, FAILURE_NONE},
    {"生成成功", OUTCOME_FINISHED, FAILURE_NONE},
    /* It was made, hence paid for, and its link is gone: to call it failed
     * would give up what a fresh poll may still bring. The rules for a task
     * that is completed without URL hold, and those for expired ones where it
     * still names some. */
    {"expired", OUTCOME_FINISHED, FAILURE_NONE},
    {"failed", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"fail", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"failure", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"error", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"errored", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"rejected", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"失败", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"生成失败", OUTCOME_UPSTREAM_FAILED, FAILURE_PROVIDER_FAILED},
    {"moderated", OUTCOME_UPSTREAM_FAILED, FAILURE_MODERATION},
    {"moderation_failed", OUTCOME_UPSTREAM_FAILED, FAILURE_MODERATION},
    {"cancelled", OUTCOME_UPSTREAM_FAILED, FAILURE_CANCELLED},
    {"canceled", OUTCOME_UPSTREAM_FAILED, FAILURE_CANCELLED},
    {"cancel", OUTCOME_UPSTREAM_FAILED, FAILURE_CANCELLED},
    {"已取消", OUTCOME_UPSTREAM_FAILED, FAILURE_CANCELLED},
    /* Under way, whatever else the answer holds: a preview, an old error. */
    {"submitted", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"pending", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"queued", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"queueing", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"in_queue", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"waiting", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"created", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"accepted", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"scheduled", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"preparing", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"not_start", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"not_started", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"starting", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"started", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"processing", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"in_progress", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"running", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"generating", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"retrying", OUTCOME_STILL_RUNNING, FAILURE_NONE},
    {"uploading", OUTCOME_STILL_RUNNING, FAILURE_NONE},
};
/* clang-format on */

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static struct str text_of(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

/** Unix seconds as milliseconds; 0: not told, or no such time. */
static int64_t seconds_ms(const json_t *value)
{
    double seconds = 0;
    if (!json_to_amount(value, &seconds) || seconds > SECONDS_MAX) {
        return 0;
    }
    return (int64_t)(seconds * 1000);
}

static int progress_of(const json_t *value)
{
    double progress = -1;
    struct str text = str_trim(text_of(value));
    if (str_ends(text, STR("%"))) { /* "45%", as relays write it */
        int64_t whole = -1;
        text.len--;
        return str_to_i64(str_trim(text), 0, 100, &whole) ? (int)whole : -1;
    }
    return json_to_amount(value, &progress) && progress <= 100 ? (int)progress
                                                               : -1;
}

static void read_cost(const json_t *data, struct outcome *outcome)
{
    /* Less than nothing says neither paid nor unpaid. */
    outcome->has_cost =
        json_to_amount(json_object_get(data, "cost"), &outcome->cost);
    (void)json_to_amount(json_object_get(data, "credits_cost"),
                         &outcome->credits_cost);
}

/** One URL of a video into the result; blanks and what is no text are left
 * out. */
static void add_url(struct buf *out, const json_t *value, int64_t expires_ms,
                    int *urls)
{
    assert(*urls >= 0 && *urls <= URLS_MAX);
    struct str url = str_trim(text_of(value));
    if (!url.len || memchr(url.at, '\0', url.len) || *urls == URLS_MAX) {
        return;
    }
    buf_add_text(out, *urls ? ",{\"url\":" : "[{\"url\":");
    buf_add_json(out, url);
    if (expires_ms) {
        buf_add_text(out, ",\"expires_at\":");
        buf_add_i64(out, expires_ms);
    }
    buf_add_char(out, '}');
    *urls += 1;
}

static void add_video(struct buf *out, const json_t *video, int *urls)
{
    assert(*urls <= URLS_MAX);
    if (json_is_string(video)) {
        add_url(out, video, 0, urls);
        return;
    }
    const int64_t expires_ms = seconds_ms(json_object_get(video, "expires_at"));
    const json_t *url = json_object_get(video, "url");
    if (!json_is_array(url)) {
        add_url(out, url, expires_ms, urls);
        return;
    }
    for (size_t i = 0; i < json_array_size(url); i++) {
        add_url(out, json_array_get(url, i), expires_ms, urls);
    }
}

/** All URLs of all videos, in order, as in task_row.result; absent: none. */
static struct str read_result(const json_t *data, struct arena *arena)
{
    const json_t *videos =
        json_object_get(json_object_get(data, "result"), "videos");
    struct buf out;
    int urls = 0;
    buf_init(&out, 0);
    if (!json_is_array(videos)) {
        add_video(&out, videos, &urls);
    }
    for (size_t i = 0; i < json_array_size(videos); i++) {
        add_video(&out, json_array_get(videos, i), &urls);
    }
    struct str result = {0};
    if (urls) {
        buf_add_char(&out, ']');
    }
    if (urls && !out.failed) {
        result.at = arena_copy(arena, out.bytes, out.len);
        result.len = result.at ? out.len : 0;
    }
    buf_done(&out);
    return result;
}

/** Why the provider gave the task up, from the error inside the reply. */
static void read_failure(const struct reply *reply, struct arena *arena,
                         struct outcome *outcome)
{
    assert(outcome->kind == OUTCOME_UPSTREAM_FAILED);
    struct provider_error error;
    provider_error_read(reply, arena, &error);
    outcome->provider_code = error.provider_code;
    outcome->message = error.message;
    if (!error.worded) {
        outcome->message = outcome->failure == FAILURE_CANCELLED
                               ? STR("cancelled by the provider")
                               : STR("failed at the provider, no reason given");
    }
    if (outcome->failure == FAILURE_PROVIDER_FAILED &&
        provider_error_is_moderation(&error)) {
        outcome->failure = FAILURE_MODERATION;
    }
    outcome->overload = outcome->failure == FAILURE_PROVIDER_FAILED &&
                        provider_error_is_overload(&error);
    outcome->crowded = outcome->failure == FAILURE_PROVIDER_FAILED &&
                       provider_error_is_crowded(&error);
}

/** In any case, with any mark between its parts. */
static bool same_word(struct str status, const char *word)
{
    assert(word[0]);
    size_t i = 0;
    for (; i < status.len && word[i]; i++) {
        const char c = status.at[i];
        const char plain = (char)(c >= 'A' && c <= 'Z'   ? c | 0x20
                                  : c == '-' || c == ' ' ? '_'
                                                         : c);
        if (plain != word[i]) {
            return false;
        }
    }
    return i == status.len && !word[i];
}

/** false: a word that nobody told us of; the task still runs. */
static bool judge_status(struct str status, struct outcome *outcome)
{
    outcome->kind = OUTCOME_STILL_RUNNING;
    const char first = status.len ? (char)(status.at[0] | 0x20) : '\0';
    for (size_t i = 0; i < LENGTH(statuses); i++) {
        if ((char)(statuses[i].word[0] | 0x20) == first &&
            same_word(status, statuses[i].word)) {
            outcome->kind = statuses[i].kind;
            outcome->failure = statuses[i].failure;
            return true;
        }
    }
    return false;
}

/** The longest start of the status word that a memo can hold. */
static struct str short_status(struct str status, struct arena *arena)
{
    status =
        provider_text(status, sizeof((struct task_memo *)0)->status - 1, arena);
    while (status.len >= sizeof((struct task_memo *)0)->status) {
        status = str_cut_points(status, str_code_points(status) - 1);
    }
    return status;
}

/** One that short_status() would leave as it is: nearly every one. */
static bool is_short_word(struct str status)
{
    size_t i = 0;
    while (i < status.len && ((status.at[i] >= 'a' && status.at[i] <= 'z') ||
                              status.at[i] == '_')) {
        i++;
    }
    return i == status.len && i < sizeof((struct task_memo *)0)->status;
}

/** An id of the answer's own may stand beside the task's. */
static bool names_id(const json_t *task, struct str provider_task_id)
{
    return str_eq(text_of(json_object_get(task, "id")), provider_task_id) ||
           str_eq(text_of(json_object_get(task, "task_id")), provider_task_id);
}

/** The answer speaks of another task than the one we asked for. */
static bool other_id(const json_t *task, struct str provider_task_id)
{
    return (json_is_string(json_object_get(task, "id")) ||
            json_is_string(json_object_get(task, "task_id"))) &&
           !names_id(task, provider_task_id);
}

static void read_finished(const json_t *task, struct arena *arena,
                          struct outcome *outcome)
{
    assert(json_is_object(task));
    read_cost(task, outcome);
    outcome->generated_ms = seconds_ms(json_object_get(task, "completed"));
    outcome->result = read_result(task, arena);
}

/**
 * A word that nobody told us of: what stands beside it may say that the task
 * has ended, a URL, or an error and what it cost. All else is still running.
 */
static void read_unknown(const json_t *task, const struct reply *reply,
                         struct arena *arena, struct outcome *outcome)
{
    assert(outcome->kind == OUTCOME_STILL_RUNNING);
    struct outcome ended = *outcome;
    read_finished(task, arena, &ended);
    if (ended.result.len) {
        ended.kind = OUTCOME_FINISHED;
        *outcome = ended;
        return;
    }
    struct provider_error error;
    provider_error_read(reply, arena, &error);
    if (ended.has_cost && error.told && error.worded) {
        ended.kind = OUTCOME_UPSTREAM_FAILED;
        ended.failure = FAILURE_PROVIDER_FAILED;
        ended.generated_ms = 0;
        *outcome = ended;
    }
}

/** Called ended, without a video, with an error, at no cost: it was never
 * made. */
static bool came_to_nothing(const struct reply *reply, struct arena *arena,
                            const struct outcome *outcome)
{
    assert(outcome->kind == OUTCOME_FINISHED);
    struct provider_error error;
    if (outcome->result.len || !outcome->has_cost || outcome->cost > 0) {
        return false;
    }
    provider_error_read(reply, arena, &error);
    return error.told && error.worded;
}

/** The word for how it is, under the names that relays give it. */
static struct str status_of(const json_t *task)
{
    static const char *const names[] = {"status", "task_status", "state"};
    struct str status = {0};
    for (size_t i = 0; i < LENGTH(names) && !status.len; i++) {
        status = str_trim(text_of(json_object_get(task, names[i])));
    }
    return status;
}

static void read_task(const json_t *task, const struct reply *reply,
                      struct arena *arena, struct outcome *outcome)
{
    assert(json_is_object(task));
    const struct str status = status_of(task);
    const bool known = judge_status(status, outcome);
    outcome->status = short_status(status, arena);
    outcome->progress = progress_of(json_object_get(task, "progress"));
    if (!known) {
        read_unknown(task, reply, arena, outcome);
    } else if (outcome->kind == OUTCOME_FINISHED) {
        read_finished(task, arena, outcome);
        if (came_to_nothing(reply, arena, outcome)) {
            outcome->kind = OUTCOME_UPSTREAM_FAILED;
            outcome->failure = FAILURE_PROVIDER_FAILED;
            outcome->generated_ms = 0;
        }
    } else if (outcome->kind == OUTCOME_UPSTREAM_FAILED) {
        read_cost(task, outcome);
    }
}

/** The task that a reply tells of; null: it tells of none. */
static const json_t *find_task(const json_t *root, struct str provider_task_id)
{
    const json_t *data = json_object_get(root, "data");
    if (json_array_size(data) == 1) {
        data = json_array_get(data, 0);
    }
    if (json_is_object(data) && json_object_size(data) > 0) {
        return data;
    }
    /* As its webhooks send it: without the wrapper. Then its id must be ours,
     * for others say there how the request went ({"status":"fail"}). */
    return json_is_string(json_object_get(root, "status")) &&
                   names_id(root, provider_task_id)
               ? root
               : NULL;
}

/** Whether the reply tells how a task is doing. */
static bool read_body(const struct reply *reply, struct str provider_task_id,
                      struct arena *arena, struct outcome *outcome)
{
    struct str body = provider_json(reply->body, arena);
    json_t *root = provider_json_read(body, NULL);
    const json_t *task = find_task(root, provider_task_id);
    if (task && other_id(task, provider_task_id)) {
        outcome->kind = OUTCOME_MISSED;
        outcome->message = STR("the provider answered about another task");
    } else if (task) {
        read_task(task, reply, arena, outcome);
    }
    const bool told = task != NULL;
    json_decref(root);
    return told;
}

/**
 * What nearly every poll is told, in its plainest form: our task still runs.
 * Anything else goes the long way, which would find the same here.
 */
static bool read_plain(const struct reply *reply, struct str provider_task_id,
                       struct arena *arena, struct outcome *outcome)
{
    assert(outcome->kind == OUTCOME_MISSED);
    struct status_scan scan;
    struct outcome plain = *outcome;
    if (!status_scan(reply->body, &scan)) {
        return false;
    }
    const bool named = scan.id.at || scan.task_id.at;
    if (named && !str_eq(scan.id, provider_task_id) &&
        !str_eq(scan.task_id, provider_task_id)) {
        return false;
    }
    const struct str status = str_trim(scan.status);
    if (!judge_status(status, &plain) || plain.kind != OUTCOME_STILL_RUNNING) {
        return false;
    }
    plain.status = is_short_word(status) ? status : short_status(status, arena);
    plain.progress = scan.progress;
    *outcome = plain;
    return true;
}

/** 400 is how an unknown id is answered; other bad requests are our bug. */
static bool denies_id(const struct provider_error *error)
{
    return (error->status == 400 || error->status == 404) &&
           provider_error_denies_task(error);
}

static enum hold_reason hold_of(const struct provider_error *error)
{
    switch (error->status) {
    case 401:
        return HOLD_AUTH;
    case 402:
        return HOLD_BALANCE;
    case 403:
        return provider_error_is_balance(error)   ? HOLD_BALANCE
               : provider_error_is_channel(error) ? HOLD_CHANNEL
                                                  : HOLD_AUTH;
    case 429:
        return HOLD_THROTTLE;
    default:
        return HOLD_NONE;
    }
}

/** An answer that tells nothing about the task. */
static void read_refusal(const struct reply *reply, struct arena *arena,
                         struct outcome *outcome)
{
    assert(reply->end == REPLY_WHOLE);
    struct provider_error error;
    provider_error_read(reply, arena, &error);
    outcome->kind = denies_id(&error) ? OUTCOME_DENIED : OUTCOME_MISSED;
    outcome->hold =
        outcome->kind == OUTCOME_MISSED ? hold_of(&error) : HOLD_NONE;
    outcome->message = error.message;
    outcome->provider_code = error.provider_code;
    if (reply->status / 100 == 2 && !error.told) {
        outcome->message = STR("the provider's answer names no task");
    }
}

static void read_poll(const struct reply *reply, struct str provider_task_id,
                      int64_t now_ms, struct arena *arena,
                      struct outcome *outcome)
{
    *outcome = (struct outcome){
        .kind = OUTCOME_MISSED,
        .progress = -1,
        .http_status = reply->status,
        .retry_after_ms = retry_after_ms(reply->retry_after, now_ms),
    };
    if (reply->end != REPLY_WHOLE) {
        const char *why = arena_printf(arena, "%s: %s",
                                       reply_end_name(reply->end), reply->why);
        outcome->message = str_of(why ? why : reply_end_name(reply->end));
        return;
    }
    if (reply->status / 100 == 2 &&
        read_plain(reply, provider_task_id, arena, outcome)) {
        return;
    }
    if (reply->status / 100 != 2 ||
        !read_body(reply, provider_task_id, arena, outcome)) {
        read_refusal(reply, arena, outcome);
        return;
    }
    if (outcome->kind == OUTCOME_UPSTREAM_FAILED) {
        read_failure(reply, arena, outcome);
    }
}

void apimart_read_poll(const struct reply *reply, struct str provider_task_id,
                       int64_t now_ms, struct arena *arena,
                       struct outcome *outcome)
{
    assert(reply && arena && outcome);
    assert(now_ms >= 0);
    read_poll(reply, provider_task_id, now_ms, arena, outcome);
    if (arena->failed) {
        /* What was not read whole may have said anything. */
        *outcome = (struct outcome){
            .kind = OUTCOME_MISSED,
            .progress = -1,
            .message = STR("there was no memory to read the answer"),
        };
    }
}
