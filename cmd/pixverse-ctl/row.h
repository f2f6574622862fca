#ifndef PIXVERSE_CTL_ROW_H
#define PIXVERSE_CTL_ROW_H

#include "core/task.h"

#include <jansson.h>

/**
 * Rows of the ctl_ queries carry numbers where the database does; here they
 * become the words and times that people and tools read.
 */

/**
 * state, kind and mode as words, times as {"received":"2026-…"}, `age_ms` since
 * received (until the end, if there was one); numbers that say nothing go.
 */
void row_dress(json_t *row);

/** The state, before row_dress(). */
enum task_state row_state(const json_t *row);

/** The event's value, parsed from the stored form; null: none yet. Caller's. */
json_t *row_event(const json_t *row);

/**
 * Why a request isn't done, in one sentence; "" if it is. From a row of
 * ctl_show before row_dress().
 */
void row_why(const json_t *row, char *out, size_t out_bytes);

#endif
