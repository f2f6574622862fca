#include "flow/learn.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 1000
#define NOWHERE_MAX 30 /* a row that moves is somewhere long before */

struct learnt {
    struct list link;
    struct learn *learn;
    struct keys *keys; /* of the account that it was sent to; null: not ours */
    int64_t task;
    bool asking; /* a store_learn() is under way */
    int32_t submission;
    int nowhere; /* so often no row was found */
    char *request_id;
    char *provider_task_id;
};

static void free_learnt(struct learnt *learnt)
{
    list_remove(&learnt->link);
    free(learnt->request_id);
    free(learnt->provider_task_id);
    free(learnt);
}

bool learn_init(struct learn *learn, struct loop *loop, struct store *store,
                struct metrics *metrics, loop_fn *on_written, void *context)
{
    assert(loop && store && on_written);
    *learn = (struct learn){
        .loop = loop,
        .store = store,
        .on_written = on_written,
        .context = context,
    };
    list_init(&learn->learnts);
    learn->waiting =
        metric_get(metrics, METRIC_GAUGE, "pixverse_ids_unwritten", NULL,
                   "Provider ids that the store does not have yet.");
    learn->timer = loop_timer_new(loop, learn_retry, learn);
    return learn->timer != NULL;
}

static void tell_end(struct learnt *learnt, enum learn_end end,
                     const char *other)
{
    switch (end) {
    case LEARN_OTHER:
        if (learnt->keys) {
            keys_caught(learnt->keys, learnt->request_id,
                        learnt->provider_task_id, other);
            return;
        }
        log_at(LOG_ERROR, "its request has another provider id",
               LOG_TEXT("request_id", learnt->request_id),
               LOG_TEXT("provider_task_id", learnt->provider_task_id),
               LOG_TEXT("other", other));
        return;
    case LEARN_NOWHERE:
        log_at(LOG_ERROR,
               "a provider id belongs to no row: its request's history is gone",
               LOG_TEXT("request_id", learnt->request_id),
               LOG_TEXT("provider_task_id", learnt->provider_task_id));
        return;
    case LEARN_WRITTEN:
    case LEARN_SAME:
        break;
    }
    log_at(LOG_WARN,
           end == LEARN_WRITTEN ? "a provider id was written after all"
                                : "a provider id was there already",
           LOG_TEXT("request_id", learnt->request_id),
           LOG_TEXT("provider_task_id", learnt->provider_task_id));
}

static void on_learnt(void *context, enum learn_end end, const char *other,
                      const struct err *err)
{
    struct learnt *learnt = context;
    struct learn *learn = learnt->learn;
    assert(learnt->asking);
    learnt->asking = false;
    const bool failed = err && err->kind != ERR_NONE;
    if (failed || (end == LEARN_NOWHERE && ++learnt->nowhere < NOWHERE_MAX)) {
        loop_timer_set(learn->timer, RETRY_MS);
        return;
    }
    CRASHPOINT("learn_written");
    tell_end(learnt, end, other);
    metric_add(learn->waiting, -1);
    free_learnt(learnt);
    learn->on_written(learn->context);
}

static void ask(struct learnt *learnt)
{
    assert(learnt->request_id && learnt->provider_task_id);
    struct store *store = learnt->learn->store;
    if (learnt->asking || !store_is_up(store)) {
        return;
    }
    CRASHPOINT("learn_before");
    learnt->asking = true;
    store_learn(store, learnt->task, learnt->submission,
                str_of(learnt->provider_task_id), on_learnt, learnt);
}

void learn_retry(void *context)
{
    struct learn *learn = context;
    assert(learn->timer);
    for (struct list *at = learn->learnts.next; at != &learn->learnts;) {
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

void learn_tell(const struct job *job)
{
    const struct task_row *row = &job_task(job)->row;
    if (row->state == RUNNING && row->provider_task_id[0]) {
        learn_warn(row->id, str_of(job_request_id(job)),
                   str_of(row->provider_task_id));
    }
}

void learn_id(struct learn *learn, struct keys *keys, int64_t task,
              int32_t submission, struct str request_id,
              struct str provider_task_id)
{
    assert(task > 0);
    learn_warn(task, request_id, provider_task_id);
    struct learnt *learnt = calloc(1, sizeof *learnt);
    if (!learnt) {
        return;
    }
    *learnt = (struct learnt){
        .learn = learn,
        .keys = keys,
        .task = task,
        .submission = submission,
        .request_id = text_of(request_id),
        .provider_task_id = text_of(provider_task_id),
    };
    list_add_tail(&learn->learnts, &learnt->link);
    metric_add(learn->waiting, 1);
    if (!learnt->request_id || !learnt->provider_task_id) {
        free_learnt(learnt);
        return;
    }
    ask(learnt);
}

size_t learn_waiting(const struct learn *learn)
{
    assert(learn->learnts.next);
    size_t n = 0;
    for (const struct list *at = learn->learnts.next; at != &learn->learnts;
         at = at->next) {
        n++;
    }
    return n;
}

void learn_done(struct learn *learn)
{
    while (learn->learnts.next && !list_is_empty(&learn->learnts)) {
        free_learnt(LIST_OWNER(learn->learnts.next, struct learnt, link));
    }
    loop_timer_free(learn->timer);
}
