#ifndef FLOW_HISTORY_H
#define FLOW_HISTORY_H

#include "core/history.h"
#include "edge/archive.h"
#include "flow/fleet.h"

/**
 * What ended long ago: one worker of the fleet counts it by day, prunes it, and
 * forgets ids, in passes, on a connection that nothing else waits for. A pass
 * stops by itself: when nothing is left, when another worker's lease is lower,
 * at an error, or in a drain; the next one goes on.
 */
struct history {
    struct fleet *fleet;
    struct archive *archive; /* null: everything is kept for ever */
    struct history_days days;
    struct loop_timer *next; /* pass, or batch */
    bool under_way;
    bool stopped;
    void (*step)(struct history *history); /* that the timer begins */
    int64_t began_ms;                      /* boot clock: the call's */
    int64_t from_ms;                       /* where pruning goes on */
    struct archive_look look;
    size_t counted_len; /* of its days */
    /* since the last line of the log */
    int64_t told_day;
    int64_t counted;
    int64_t pruned;
    int64_t forgotten;
    struct metric *pruned_total;
    struct metric *forgotten_total;
    struct metric *oldest;
    struct metric *overdue;
    struct metric *counted_at;
};

/** archive: null, where days says that all is kept. */
MUST_CHECK bool history_init(struct history *history, struct fleet *fleet,
                             struct archive *archive, struct err *err);
void history_done(struct history *history);

/** Begins no pass any more, and ends the one that is under way. */
void history_stop(struct history *history);

#endif
