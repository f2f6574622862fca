#ifndef FLOW_SURVEY_H
#define FLOW_SURVEY_H

#include "flow/engine.h"

/** This worker's tasks at one moment, for whoever asks (status, scrape). */
struct survey {
    int64_t now_ms;
    size_t states[TASK_STATES_LEN];
    size_t doubts;          /* SUBMITTING, an earlier send unanswered */
    int64_t doubt_since_ms; /* the first send of the oldest; INT64_MAX: none */
    size_t unannounced;     /* settled, and the events topic has not taken it */
    int64_t settled_ms;     /* the oldest of these; INT64_MAX: none */
    size_t untold;          /* of these, for longer than it should take */
    int64_t expires_ms;     /* the first of READY; INT64_MAX: none */
    size_t held; /* for a worker with another account, key or base URL */
    char account[ACCOUNT_BYTES]; /* of the first of these */
    size_t parked; /* without a request, or refused by the store: left alone */
    size_t suspects; /* their workers died, again and again: tried rarely */
};

void survey_tasks(struct engine *engine, struct survey *survey);

/** Single tasks that have waited for long, by what came of their last try. */
struct lasting {
    size_t tasks;
    int32_t tries;      /* the most */
    int64_t since_ms;   /* the first */
    int64_t next_ms;    /* the next */
    const char *answer; /* of the first */
};

/** By reason, in the order of reason_word(). One walk for all: in an outage
 * each task that is polled has one. */
void survey_reasons(const struct engine *engine,
                    struct lasting all[static REASON_WORDS_MAX]);

#endif
