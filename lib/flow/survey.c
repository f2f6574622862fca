#include "flow/survey.h"

#include "core/until.h"

#include <assert.h>
#include <stdio.h>

#define UNTOLD_MS 10000 /* that an end may take to be announced */

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

static void look_at(void *context, struct job *job)
{
    struct survey *survey = context;
    if (job->hold == HOLD_ACCOUNT && !survey->held++) {
        snprintf(survey->account, sizeof survey->account, "%s",
                 job_account(job));
    }
    if (job_is_folded(job)) {
        survey->states[RUNNING]++;
        return;
    }
    const struct task_row *row = &job_task(job)->row;
    survey->states[row->state]++;
    survey->parked += job->phase == JOB_PARKED;
    survey->suspects += row->takeovers > SUSPECT_TAKEOVERS;
    if (row->state == SUBMITTING && row->doubt) {
        survey->doubts++;
        survey->doubt_since_ms =
            earlier(survey->doubt_since_ms, row->first_sent_ms);
    }
    if (row->state == READY && row->result) {
        survey->expires_ms = earlier(survey->expires_ms, task_expires_ms(row));
    }
    if (row->state == SUCCEEDED || row->state == FAILED) {
        survey->unannounced++;
        survey->untold += row->settled_ms < survey->now_ms - UNTOLD_MS;
        survey->settled_ms = earlier(survey->settled_ms, row->settled_ms);
    }
}

void survey_tasks(struct engine *engine, struct survey *survey)
{
    *survey = (struct survey){
        .now_ms = engine_now_ms(engine),
        .doubt_since_ms = INT64_MAX,
        .settled_ms = INT64_MAX,
        .expires_ms = INT64_MAX,
    };
    jobs_each(&engine->jobs, look_at, survey);
}

static void add(struct lasting *all, const struct reason *reason)
{
    all->tasks++;
    all->tries = reason->tries > all->tries ? reason->tries : all->tries;
    all->next_ms = earlier(all->next_ms, reason->next_ms);
    if (reason->since_ms < all->since_ms) {
        all->since_ms = reason->since_ms;
        all->answer = reason->answer;
    }
}

void survey_reasons(const struct engine *engine,
                    struct lasting all[static REASON_WORDS_MAX])
{
    const char *words[REASON_WORDS_MAX];
    size_t len = 0;
    for (const char *word; (word = reason_word(len)); len++) {
        assert(len < REASON_WORDS_MAX);
        words[len] = word;
        all[len] =
            (struct lasting){.since_ms = INT64_MAX, .next_ms = INT64_MAX};
    }
    const struct list *head = &engine->reasons.troubled;
    const int64_t now_ms = engine_now_ms(engine);
    for (const struct list *at = head->next; at != head; at = at->next) {
        const struct reason *reason =
            &LIST_OWNER(at, struct trouble, link)->reason;
        if (now_ms - reason->since_ms < REASON_AFTER_MS) {
            continue;
        }
        for (size_t i = 0; i < len; i++) {
            if (reason->word == words[i]) {
                add(&all[i], reason);
                break;
            }
        }
    }
}
