#include "flow/learn.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "flow/turn.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS 1000

struct learnt {
    struct list link;
    struct engine *engine;
    int64_t task;
    bool asking; /* a store_learn() is under way */
    char *request_id;
    char *idempotency_key;
    char *provider_task_id;
};

static void free_learnt(struct learnt *learnt)
{
    list_remove(&learnt->link);
    free(learnt->request_id);
    free(learnt->idempotency_key);
    free(learnt->provider_task_id);
    free(learnt);
}

static void on_keys_told(void *context, bool done, const struct err *err)
{
    struct engine *engine = context;
    (void)done; /* false: somebody else has told it */
    if (err && err->kind != ERR_NONE) {
        engine->keys_untold = true;
        loop_timer_set(engine->learn_timer, RETRY_MS);
    }
}

/** All workers of the account must know, and those that come after us. */
static void tell_keys(struct engine *engine)
{
    if (engine->keys_untold && store_is_up(engine->edges.store)) {
        engine->keys_untold = false;
        store_keys_answer(engine->edges.store, engine->options.apimart.account,
                          KEYS_BROKEN, engine->key_lifetime_ms, on_keys_told,
                          engine);
    }
}

/** One key has bought two videos: nothing is replayed here any more. */
static void keys_broken(struct engine *engine, const char *request_id,
                        const char *provider_task_id, const char *other)
{
    metric_add(engine->metrics.keys_broken, 1);
    log_at(LOG_ERROR,
           "the provider does not honour keys, whatever it says: one key has "
           "bought two videos, and SUBMIT_DOUBT=auto settles from now on",
           LOG_TEXT("request_id", request_id),
           LOG_TEXT("provider_task_id", provider_task_id),
           LOG_TEXT("other", other));
    engine->keys = KEYS_BROKEN;
    engine->keys_untold = true;
    tell_keys(engine);
}

void learn_compare(struct engine *engine, const struct job *job,
                   const struct task_row *row)
{
    const char *own = job->task.row.provider_task_id;
    if (own[0] && row->provider_task_id[0] &&
        strcmp(own, row->provider_task_id) != 0 &&
        row->submission == job->task.row.submission) {
        keys_broken(engine, job_request_id(job), own, row->provider_task_id);
    }
}

static void on_learnt(void *context, bool done, const struct err *err)
{
    struct learnt *learnt = context;
    struct engine *engine = learnt->engine;
    learnt->asking = false;
    const bool other = err && err->kind == ERR_PERMANENT;
    if (err && err->kind != ERR_NONE && !other) {
        loop_timer_set(engine->learn_timer, RETRY_MS);
        return;
    }
    CRASHPOINT("learn_written");
    if (other) {
        keys_broken(engine, learnt->request_id, learnt->provider_task_id,
                    err->text);
    } else {
        log_at(LOG_WARN, done ? "a provider id was written after all"
                              : "a provider id was there already",
               LOG_TEXT("request_id", learnt->request_id),
               LOG_TEXT("provider_task_id", learnt->provider_task_id));
    }
    metric_add(engine->metrics.learnt_waiting, -1);
    free_learnt(learnt);
    engine_want_adopts(engine); /* it may have opened again as LATE */
    turn_soon(engine);
}

static void ask(struct learnt *learnt)
{
    struct store *store = learnt->engine->edges.store;
    if (learnt->asking || !store_is_up(store)) {
        return;
    }
    CRASHPOINT("learn_before");
    learnt->asking = true;
    store_learn(store, learnt->task, str_of(learnt->idempotency_key),
                str_of(learnt->provider_task_id), on_learnt, learnt);
}

void learn_retry(void *context)
{
    struct engine *engine = context;
    tell_keys(engine);
    for (struct list *at = engine->learnts.next; at != &engine->learnts;) {
        struct learnt *learnt = LIST_OWNER(at, struct learnt, link);
        at = at->next;
        ask(learnt);
    }
}

static char *text_of(struct str text)
{
    return strndup(text.at ? text.at : "", text.len);
}

void learn_warn(int64_t task, struct str request_id,
                struct str provider_task_id)
{
    log_at(LOG_ERROR,
           "a provider id is not written yet; if this process ends first, give "
           "it to the task with pixverse-ctl attach",
           LOG_STR("request_id", request_id),
           LOG_STR("provider_task_id", provider_task_id),
           LOG_I64("task", task));
}

void engine_learn(struct engine *engine, int64_t task, struct str request_id,
                  struct str idempotency_key, struct str provider_task_id)
{
    learn_warn(task, request_id, provider_task_id);
    struct learnt *learnt = calloc(1, sizeof *learnt);
    if (!learnt) {
        return;
    }
    *learnt = (struct learnt){
        .engine = engine,
        .task = task,
        .request_id = text_of(request_id),
        .idempotency_key = text_of(idempotency_key),
        .provider_task_id = text_of(provider_task_id),
    };
    list_add_tail(&engine->learnts, &learnt->link);
    metric_add(engine->metrics.learnt_waiting, 1);
    if (!learnt->request_id || !learnt->idempotency_key ||
        !learnt->provider_task_id) {
        free_learnt(learnt);
        return;
    }
    ask(learnt);
}

size_t learn_waiting(const struct engine *engine)
{
    size_t n = 0;
    for (const struct list *at = engine->learnts.next; at != &engine->learnts;
         at = at->next) {
        n++;
    }
    return n;
}

void learn_done(struct engine *engine)
{
    while (engine->learnts.next && !list_is_empty(&engine->learnts)) {
        free_learnt(LIST_OWNER(engine->learnts.next, struct learnt, link));
    }
}
