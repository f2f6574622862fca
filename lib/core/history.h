#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What becomes of ended requests: when a day is counted, when its rows are
 * pruned, since when ids are known. Days are UTC, counted from 1970; times are
 * milliseconds of Unix time by PostgreSQL's clock.
 */

#define HISTORY_DAY_MS INT64_C(86400000)

/** Bounds of the time from received to settled; the last bucket is beyond them.
 * The view `ended` (sql/schema) has the same. */
#define HISTORY_BOUNDS_MS                                                      \
    {                                                                          \
        30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 10800000,      \
            86400000                                                           \
    }
#define HISTORY_BUCKETS 10

/** HISTORY_DAYS and IDS_DAYS; 0: for ever. */
struct history_days {
    int64_t history;
    int64_t ids; /* not below history, unless 0 */
};

/** Beginning of the first day that is not pruned: what ended before goes, whole
 * days at a time; 0: nothing. */
int64_t history_prune_before_ms(const struct history_days *days,
                                int64_t now_ms);

/** Beginning of the first day that is not counted yet: today, and yesterday as
 * long as a statement that began then may end. */
int64_t history_count_before_ms(int64_t now_ms);

/** Since when ids are known, as the setting says; 0: all are. An older message
 * of an id that nobody knows may have been bought: it is refused. */
int64_t history_known_from_ms(const struct history_days *days, int64_t now_ms);

/** Ids may be forgotten if the time since which they are known was written down
 * before this: no statement that began earlier goes on. */
int64_t history_settled_ms(int64_t now_ms);

/** The rest after a batch that took so long, so that others have the disk for
 * most of the time. */
int64_t history_rest_ms(int64_t took_ms);

#endif
