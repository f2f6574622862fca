#include "flow/status.h"

#include "flow/scrape.h"
#include "flow/survey.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void missing(struct buf *out, const char *what, const char *why)
{
    buf_printf(out, "not ready: %s%s%s\n", what, why[0] ? ": " : "", why);
}

static bool is_ready(const struct status *s)
{
    return !s->draining && !s->schema_misfit && s->store_up && s->consumer_up &&
           s->producer_up;
}

static bool list_missing(const struct status *s, struct buf *out)
{
    size_t before = out->len;
    if (s->draining) {
        missing(out, "draining", "");
    }
    if (s->schema_misfit) {
        missing(out, "the schema does not fit", s->store_why);
    } else if (!s->store_up) {
        missing(out, "no PostgreSQL", s->store_why);
    }
    if (!s->consumer_up) {
        missing(out, "no Kafka for requests", s->consumer_why);
    }
    if (!s->producer_up) {
        missing(out, "no Kafka for events", s->producer_why);
    }
    assert(is_ready(s) == (out->len == before));
    return out->len > before;
}

static void list_holds(const struct status *s, struct buf *out)
{
    for (size_t i = 0; i < s->fleet->holds.len; i++) {
        const struct hold *hold = &s->fleet->holds.at[i];
        char since[25];
        str_time(hold->since_ms, since);
        buf_printf(out, "hold: %s", hold_reason_name(hold->reason));
        if (hold->account < ACCOUNTS_MAX && s->engine->accounts.len > 1) {
            buf_printf(out, " (account %s)",
                       s->engine->options.accounts.at[hold->account].name);
        } else if (!hold->ours && strchr(hold->scope, ':')) {
            const struct str name = apimart_account_name(hold->scope);
            buf_printf(out, " (account %.*s, under another key or base URL)",
                       (int)name.len, name.at);
        } else if (!hold->ours) {
            buf_add_text(out, " (another scope)");
        }
        buf_printf(out, " since %s: %s\n", since, hold->message);
    }
}

static void list_misfits(const struct status *s, struct buf *out)
{
    for (size_t i = 0; i < s->engine->accounts.len; i++) {
        const struct misfit *misfit = &s->fleet->holds.misfits[i];
        const struct account_settings *ours =
            &s->engine->options.accounts.at[i];
        if (misfit->there) {
            buf_printf(out,
                       "hold: account: %s is at %s in the database, and at "
                       "%.*s here: nothing is submitted there (pixverse-ctl "
                       "account move)\n",
                       ours->name, misfit->url, (int)ours->keys[0].base_url.len,
                       ours->keys[0].base_url.at);
        }
    }
}

static void list_limits(const struct status *s, struct buf *out)
{
    for (size_t i = 0; i < s->engine->accounts.len; i++) {
        const struct account *account = &s->engine->accounts.at[i];
        if (slots_are_learnt(&account->slots)) {
            char words[SLOTS_WORDS_BYTES];
            slots_words(&account->slots, words, sizeof words);
            buf_printf(out, "limit: account %s: %s\n", account->settings->name,
                       words);
        }
    }
}

static void list_reason(struct buf *out, const char *word, const char *whose,
                        int64_t since_ms, int32_t tries, int64_t next_ms,
                        const char *answer)
{
    char since[25];
    char next[25];
    str_time(since_ms, since);
    str_time(next_ms, next);
    buf_printf(out, "reason: %s: %s, since %s, %d tries%s%s%s%s\n", word, whose,
               since, (int)tries, next_ms ? ", the next at " : "",
               next_ms ? next : "", answer[0] ? ": " : "", answer);
}

static void list_reasons(const struct status *s, struct buf *out)
{
    struct lasting all[REASON_WORDS_MAX];
    survey_reasons(s->engine, all);
    for (size_t i = 0; reason_word(i); i++) {
        if (all[i].tasks) {
            char whose[40];
            snprintf(whose, sizeof whose, "%zu task%s", all[i].tasks,
                     all[i].tasks == 1 ? "" : "s");
            list_reason(out, reason_word(i), whose, all[i].since_ms,
                        all[i].tries, all[i].next_ms, all[i].answer);
        }
    }
    for (int i = 0; i < SHARED_REASONS_LEN; i++) {
        const struct shared *shared = &s->engine->reasons.shared[i];
        if (shared->since_ms) {
            list_reason(out, shared_reason_name((enum shared_reason)i),
                        "all that wait for it", shared->since_ms, shared->tries,
                        shared->next_ms, shared->answer);
        }
    }
}

static void list_odd(const struct status *s, struct buf *out)
{
    const struct unreadable *unreadable = &s->fleet->unreadable;
    struct survey odd;
    survey_tasks(s->engine, &odd);
    if (unreadable->last.rows > 0) {
        buf_printf(out,
                   "unreadable: %lld rows are left for a later program, the "
                   "first that of %s\n",
                   (long long)unreadable->last.rows, unreadable->last.first);
    }
    if (odd.parked > 0) {
        buf_printf(out, "parked: %zu tasks can't go on; the log names them\n",
                   odd.parked);
    }
    if (odd.suspects > 0) {
        buf_printf(out,
                   "suspect: %zu tasks were taken over again and again; the "
                   "log names them\n",
                   odd.suspects);
    }
    if (odd.untold > 0) {
        char since[25];
        const char *why = s->engine->stage.announce_err.text;
        str_time(odd.settled_ms, since);
        buf_printf(out, "untold: %zu ends wait to be announced, since %s%s%s\n",
                   odd.untold, since, why[0] ? ": " : "", why);
    }
    if (odd.held > 0) {
        const struct str name = apimart_account_name(odd.account);
        buf_printf(out,
                   "hold: account: %zu tasks were sent under another key or "
                   "base URL than ours, the first by account %.*s\n",
                   odd.held, (int)name.len, name.at);
    }
}

/** Why nothing is read from the request topic. */
static void list_intake(const struct status *s, struct buf *out)
{
    const struct intake *intake = s->intake;
    const int64_t max = intake->options.backlog_max;
    if (!intake->paused || intake->stopped) {
        return;
    }
    buf_add_text(out, "intake: paused: ");
    if (intake->backlog > max / 10 * 7) {
        buf_printf(out,
                   "%lld requests wait to be claimed, BACKLOG_MAX is %lld\n",
                   (long long)intake->backlog, (long long)max);
    } else if (intake->blocked > max * BLOCKED_FACTOR / 10 * 7) {
        buf_printf(out,
                   "%lld requests wait for the request that they extend, for "
                   "a budget or for an account that is held, at most %d times "
                   "BACKLOG_MAX (%lld) may; most of them for %s (pixverse-ctl "
                   "explain)\n",
                   (long long)intake->blocked, BLOCKED_FACTOR, (long long)max,
                   s->fleet->blocked_most[0] ? s->fleet->blocked_most
                                             : "what is counted soon");
    } else {
        buf_printf(out, "%lld bytes of messages wait to be stored\n",
                   (long long)intake->bytes);
    }
}

static void answer_ready(const struct status *s, struct admin_answer *answer)
{
    answer->content_type = "text/plain; charset=utf-8";
    answer->status = 200;
    if (list_missing(s, answer->body)) {
        answer->status = 503;
    } else {
        buf_add_text(answer->body, "ready\n");
    }
    list_holds(s, answer->body);
    list_misfits(s, answer->body);
    list_limits(s, answer->body);
    list_reasons(s, answer->body);
    list_odd(s, answer->body);
    list_intake(s, answer->body);
}

static void answer_scale(const struct status *s, struct admin_answer *answer)
{
    answer->content_type = "application/json";
    answer->status = 200;
    buf_printf(answer->body,
               "{\"queued\":%lld,\"in_flight\":%lld,\"workers\":%zu,"
               "\"tasks_max\":%d}\n",
               (long long)s->fleet->queued, (long long)s->fleet->in_flight,
               fleet_alive(s->fleet), s->engine->options.tasks_max);
}

static void answer_metrics(const struct status *s, struct admin_answer *answer)
{
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer->status = 200;
    scrape(s->engine, s->intake->consumer, is_ready(s), answer->body);
}

static const char *phase_name(const struct job *job)
{
    switch (job->phase) {
    case JOB_WAITING:
        return "waits";
    case JOB_LINED_UP:
        return "in line for a slot";
    case JOB_ACTING:
        return "under way";
    case JOB_READING:
    case JOB_REREADING:
        return "reads its row";
    case JOB_SAVING:
        return "writes its row";
    case JOB_PARKED:
        return "parked";
    case JOB_FREE:
        break;
    }
    return "";
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    buf_add_json(out, str_of(text));
}

static void add_reason(struct buf *out, const struct reason *reason)
{
    buf_printf(out,
               ",\"reason\":{\"since_ms\":%lld,\"tries\":%d,"
               "\"next_ms\":%lld",
               (long long)reason->since_ms, (int)reason->tries,
               (long long)reason->next_ms);
    add_text(out, "word", reason->word);
    add_text(out, "answer", reason->answer);
    buf_add_char(out, '}');
}

static void add_job(const struct status *s, const struct job *job,
                    struct buf *out)
{
    const struct task_memo *memo = &job_task(job)->memo;
    add_text(out, "request_id", job_request_id(job));
    add_text(out, "state", task_state_name(job_task(job)->row.state));
    add_text(out, "doing", phase_name(job));
    if (memo->status[0]) {
        add_text(out, "status", memo->status);
    }
    if (memo->status[0] && memo->progress >= 0) {
        buf_printf(out, ",\"progress\":%d", (int)memo->progress);
    }
    if (job->phase == JOB_WAITING) {
        buf_printf(
            out, ",\"next_ms\":%lld",
            (long long)(clock_of_boot_ms(&s->engine->clock, job->due.due_ms)));
    }
    if (reasons_of(job)) {
        add_reason(out, reasons_of(job));
    }
}

/** What only the owner of a task knows of it. */
static void answer_task(const struct status *s, struct str id,
                        struct admin_answer *answer)
{
    int64_t task = 0;
    const struct job *job = str_to_i64(id, 1, INT64_MAX, &task)
                                ? jobs_find(&s->engine->jobs, task)
                                : NULL;
    answer->content_type = "application/json";
    answer->status = job ? 200 : 404;
    buf_printf(answer->body, "{\"lease\":%lld,\"task\":%lld,\"now_ms\":%lld",
               (long long)s->engine->turns.owner, (long long)task,
               (long long)engine_now_ms(s->engine));
    add_text(answer->body, "worker", s->name);
    if (job) {
        add_job(s, job, answer->body);
    }
    buf_add_text(answer->body, "}\n");
}

#define TASK_PATH "/task?id="

void status_answer(void *context, struct str path, struct admin_answer *answer)
{
    const struct status *s = context;
    assert(s->engine && s->fleet && s->intake && s->name);
    assert(answer->body && !answer->status);
    if (str_eq(path, STR("/healthz"))) {
        answer->content_type = "text/plain; charset=utf-8";
        answer->status = 200;
        buf_add_text(answer->body, "ok\n");
    } else if (str_eq(path, STR("/readyz"))) {
        answer_ready(s, answer);
    } else if (str_eq(path, STR("/metrics"))) {
        answer_metrics(s, answer);
    } else if (str_eq(path, STR("/scale"))) {
        answer_scale(s, answer);
    } else if (str_starts(path, STR(TASK_PATH))) {
        size_t skip = sizeof TASK_PATH - 1;
        answer_task(s, (struct str){path.at + skip, path.len - skip}, answer);
    }
}
