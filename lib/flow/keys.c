#include "flow/keys.h"

#include "base/log.h"
#include "core/doubt.h"

#include <assert.h>
#include <string.h>

#define LIFETIME_MS INT64_C(86400000) /* until the provider says another */
#define ASK_EVERY_MS INT64_C(3600000)
#define ASK_AGAIN_MS INT64_C(60000) /* no answer yet */
#define ASK_TIMEOUT_MS 15000
#define TELL_AGAIN_MS 1000

bool keys_init(struct keys *keys, const struct keys_options *options,
               struct metrics *metrics)
{
    assert(options->loop && options->store && options->poller);
    assert(options->apimart);
    *keys = (struct keys){.options = *options, .lifetime_ms = LIFETIME_MS};
    arena_init(&keys->scratch, 4096, 0);
    keys->ask_timer = loop_timer_new(options->loop, keys_ask, keys);
    keys->tell_timer = loop_timer_new(options->loop, keys_tell, keys);
    keys->broken =
        metric_get(metrics, METRIC_COUNTER, "pixverse_keys_broken_total", NULL,
                   "Keys under which two ids were bought.");
    return keys->ask_timer && keys->tell_timer;
}

void keys_done(struct keys *keys)
{
    loop_timer_free(keys->ask_timer);
    loop_timer_free(keys->tell_timer);
    arena_done(&keys->scratch);
}

enum submit_doubt keys_policy(const struct keys *keys)
{
    assert(keys->lifetime_ms > 0);
    return keys_doubt(keys->options.submit_doubt, keys->answer);
}

int64_t keys_resend_after_ms(const struct keys *keys, int64_t now_ms)
{
    return resend_after_ms(keys_policy(keys), keys->lifetime_ms, now_ms);
}

/* ---- asking the provider ---- */

/** What the provider says of itself helps the others, and is asked for again:
 * nothing waits for the store's answer. */
static void on_shared(void *context, bool done, const struct err *err)
{
    (void)context;
    (void)done;
    (void)err;
}

static void on_schema(void *context, const struct reply *reply)
{
    struct keys *keys = context;
    int64_t lifetime_ms = keys->lifetime_ms;
    enum keys_answer answer = apimart_read_schema(reply, &lifetime_ms);
    assert(keys->asking);
    assert(answer != KEYS_BROKEN);
    keys->asking = false;
    if (answer == KEYS_NO_ANSWER) {
        loop_timer_set(keys->ask_timer, ASK_AGAIN_MS);
        return;
    }
    loop_timer_set(keys->ask_timer, ASK_EVERY_MS);
    if (keys->answer == KEYS_BROKEN) {
        return; /* it was caught: its word counts for nothing */
    }
    if (answer != keys->answer && keys->options.submit_doubt == DOUBT_AUTO) {
        log_at(LOG_INFO,
               answer == KEYS_HONOURED
                   ? "the provider says that it honours keys: doubts "
                     "are replayed"
                   : "the provider does not say that it honours keys: "
                     "doubts are settled");
    }
    keys->answer = answer;
    keys->lifetime_ms = lifetime_ms;
    store_keys_answer(keys->options.store, keys->options.apimart->account,
                      answer, lifetime_ms, on_shared, keys);
}

void keys_ask(void *context)
{
    struct keys *keys = context;
    assert(keys->ask_timer);
    /* Where all is replayed, only the keys' lifetime is asked for. */
    if (keys->asking || keys->stopped ||
        keys->options.submit_doubt == DOUBT_SETTLE) {
        return;
    }
    arena_reset(&keys->scratch);
    struct exchange exchange =
        apimart_ask_schema(keys->options.apimart, &keys->scratch);
    struct err err = {0};
    keys->asking = true;
    if (keys->scratch.failed ||
        !poller_send(keys->options.poller, &exchange, ASK_TIMEOUT_MS, NULL,
                     on_schema, keys, &err)) {
        keys->asking = false;
        loop_timer_set(keys->ask_timer, ASK_AGAIN_MS);
    }
}

void keys_stop(struct keys *keys)
{
    assert(keys->ask_timer);
    keys->stopped = true;
    loop_timer_stop(keys->ask_timer);
}

void keys_told(struct keys *keys, enum keys_answer answer, int64_t lifetime_ms)
{
    assert(keys->lifetime_ms > 0);
    if (answer == KEYS_NO_ANSWER || keys->answer == KEYS_BROKEN) {
        return;
    }
    keys->answer = answer;
    if (lifetime_ms > 0) {
        keys->lifetime_ms = lifetime_ms;
    }
}

/* ---- catching it ---- */

static void on_told(void *context, bool done, const struct err *err)
{
    struct keys *keys = context;
    assert(keys->answer == KEYS_BROKEN);
    (void)done; /* false: somebody else has told it */
    if (err && err->kind != ERR_NONE) {
        keys->untold = true;
        loop_timer_set(keys->tell_timer, TELL_AGAIN_MS);
    }
}

/** All workers of the account must know, and those that come after us. */
void keys_tell(void *context)
{
    struct keys *keys = context;
    assert(!keys->untold || keys->answer == KEYS_BROKEN);
    if (keys->untold && store_is_up(keys->options.store)) {
        keys->untold = false;
        store_keys_answer(keys->options.store, keys->options.apimart->account,
                          KEYS_BROKEN, keys->lifetime_ms, on_told, keys);
    }
}

void keys_caught(struct keys *keys, const char *request_id,
                 const char *provider_task_id, const char *other)
{
    assert(provider_task_id[0]);
    metric_add(keys->broken, 1);
    log_at(LOG_ERROR,
           "the provider does not honour keys, whatever it says: one key has "
           "bought two videos, and SUBMIT_DOUBT=auto settles from now on",
           LOG_TEXT("request_id", request_id),
           LOG_TEXT("provider_task_id", provider_task_id),
           LOG_TEXT("other", other));
    keys->answer = KEYS_BROKEN;
    keys->untold = true;
    keys_tell(keys);
}

void keys_compare(struct keys *keys, const struct job *job,
                  const struct task_row *row)
{
    const char *own = job_task(job)->row.provider_task_id;
    assert(row->id == job_task(job)->row.id);
    if (own[0] && row->provider_task_id[0] &&
        strcmp(own, row->provider_task_id) != 0 &&
        row->submission == job_task(job)->row.submission &&
        row->attempt == job_task(job)->row.attempt) {
        keys_caught(keys, job_request_id(job), own, row->provider_task_id);
    }
}
