#ifndef FLOW_READS_H
#define FLOW_READS_H

#include "flow/ties.h"

/**
 * Facts and rows to read, as a part of a turn. Jobs are known by job_ref while
 * it is under way: any of them may be gone, or be claimed anew and stand in a
 * line again, when the answer comes.
 */
struct reads {
    const struct ties *ties;
    struct list facts;   /* JOB_READING */
    struct list starved; /* JOB_READING: there was no memory for its facts */
    struct list rows;    /* JOB_REREADING */
    struct loop_timer *timer;   /* the starved: again */
    struct job_ref *sent_facts; /* both in the flight's arena */
    size_t sent_facts_len;
    struct job_ref *sent_rows;
    size_t sent_rows_len;
};

/** false: no memory; reads_done() is still allowed. */
MUST_CHECK bool reads_init(struct reads *reads, const struct ties *ties);
void reads_done(struct reads *reads);

/** The job wants its facts; its row. */
void reads_add_facts(struct reads *reads, struct job *job);
void reads_add_row(struct reads *reads, struct job *job);

/** Nothing waits that could be asked for. */
bool reads_is_idle(const struct reads *reads);

/** Behind the saves: a row that is saved as READY needs its facts at once. */
void reads_gather(struct reads *reads, struct turn *turn, struct arena *arena);
void reads_facts_came(struct reads *reads, const struct turn_result *result);
/** now_ms: when this was asked, PostgreSQL's clock. */
void reads_rows_came(struct reads *reads, const struct turn_result *result,
                     int64_t now_ms);
void reads_lost(struct reads *reads);

#endif
