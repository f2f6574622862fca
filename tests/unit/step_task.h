#ifndef UNIT_STEP_TASK_H
#define UNIT_STEP_TASK_H

#include "core/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** The task and the policy that tests of the step begin with. */

#define T0 INT64_C(1795327200000)
#define S INT64_C(1000)
#define M (60 * S)
#define H (60 * M)
#define LIFE (24 * H)
/* T0 + H */
#define URL "[{\"url\":\"https://a/0\",\"expires_at\":1795330800000}]"

/** What is set besides the usual row of that state. */
struct given {
    int sends;
    bool doubt;
    bool late;
    bool open;            /* billed_open */
    bool foreign;         /* submitted under another account */
    bool id;              /* an id in the row of a state that has none yet */
    bool no_result;       /* READY without URL */
    const char *unusable; /* as in the row; null: none */
    int tries;
    int64_t last_sent; /* after T0 */
    int64_t deadline;  /* after T0; 0: none, or 3 h where it runs */
    enum failure_kind kind;
    struct task_memo memo;
    enum submit_doubt policy; /* DOUBT_AUTO where nothing is said */
};

static inline struct policy usual(enum submit_doubt doubt)
{
    return (struct policy){
        .poll_interval_ms = 5 * S,
        .submit_timeout_ms = 45 * S,
        .deadline_ms = 3 * H,
        .late_ms = 24 * H,
        .chain_wait_ms = 12 * H,
        .attempts_max = 2,
        .doubt = doubt,
        .key_lifetime_ms = LIFE,
        .account = "us",
    };
}

static inline struct task task_of(enum task_state state, const struct given *g)
{
    const bool accepted = state >= RUNNING && state != FAILED;
    struct task task = {
        .row =
            {
                .id = 1,
                .state = state,
                .owner = 5,
                .fence = 3,
                .version = 7,
                .sends = g->sends ? g->sends : state != QUEUED,
                .doubt = g->doubt,
                .late = g->late,
                .billed_open = g->open,
                .received_ms = T0,
                .first_sent_ms = state != QUEUED ? T0 : 0,
                .last_sent_ms = state != QUEUED ? T0 + g->last_sent : 0,
                .submitted_ms = accepted || (g->id && state == FAILED) ? T0 : 0,
                .generated_ms = state == READY ? T0 : 0,
                .deadline_ms = g->deadline ? T0 + g->deadline
                               : accepted  ? T0 + 3 * H
                                           : 0,
                .tries = g->tries,
                .not_before_ms = g->kind == FAILURE_SOURCE_FAILED ? T0 : 0,
                .kind = g->kind,
            },
        .memo = g->memo,
    };
    if (state != QUEUED) {
        snprintf(task.row.account, sizeof task.row.account, "%s",
                 g->foreign ? "them" : "us");
    }
    if (accepted || g->id) {
        snprintf(task.row.provider_task_id, sizeof task.row.provider_task_id,
                 "task_1");
    }
    snprintf(task.row.unusable, sizeof task.row.unusable, "%s",
             g->unusable ? g->unusable : "");
    if (state == READY && !g->no_result) {
        task.row.result = strdup(URL);
    }
    return task;
}

#endif
