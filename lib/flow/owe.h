#ifndef FLOW_OWE_H
#define FLOW_OWE_H

#include "flow/stage.h"

/**
 * What a job owes now that it is due: which effect, or what it waits for. Only
 * told here; the engine does it.
 */

enum owed_act {
    OWED_BEGIN,         /* a stage's effect: `effect` */
    OWED_FACTS,         /* its facts are read first */
    OWED_ROW,           /* its row is read again */
    OWED_WAIT,          /* nothing before due_ms */
    OWED_ELSEWHERE,     /* the same: a worker with another URL has to ask */
    OWED_REPLAY_SLOT,   /* in line for a replay, until due_ms at most */
    OWED_TRANSFER_SLOT, /* in line for a transfer, by `rank_ms` */
    OWED_TIME_UP,       /* what it waited for did not come in time */
    OWED_NO_NEWS,       /* nobody can ask for it any more */
};

struct owed {
    enum owed_act act;
    enum task_owes effect;
    int64_t due_ms;  /* PostgreSQL's clock */
    int64_t rank_ms; /* the smallest goes first */
};

/** The job is in no line; its state owes something. */
struct owed owe_now(struct stage *stage, const struct job *job);

/** Whether a doubt that comes to the head of its line still wants a replay:
 * time has passed. */
bool owe_is_replay(struct stage *stage, const struct job *job);

#endif
