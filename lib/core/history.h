#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

/**
 * What becomes of ended requests: when a day is counted, when its rows are
 * pruned, since when ids are known. Days are UTC, counted from 1970; times are
 * milliseconds of Unix time by PostgreSQL's clock.
 */

#define HISTORY_DAY_MS INT64_C(86400000)

/** Days of HISTORY_DAYS and IDS_DAYS; 0: for ever. */
struct history_days {
    int64_t history;
    int64_t ids; /* not below history, unless 0 */
};

/** Since when ids are known, as the setting says; 0: all are. An older message
 * of an id that nobody knows may have been bought: it is refused. */
int64_t history_known_from_ms(const struct history_days *days, int64_t now_ms);

#endif
