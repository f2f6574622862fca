#ifndef PIXVERSE_CTL_ROW_H
#define PIXVERSE_CTL_ROW_H

#include "core/task.h"

#include <jansson.h>

struct column;
struct ctl;
struct table;

/**
 * Rows of the ctl_ queries carry numbers where the database does; here they
 * become the words and times that people and tools read.
 */

/**
 * state, kind and mode as words, times as {"received":"2026-…"}, `age_ms` since
 * received (until the end, if there was one); numbers that say nothing go.
 */
void row_dress(json_t *row);

/** since_ms and next_ms as times; null is let pass. */
void row_dress_reason(json_t *reason);

/** {"queued":3,…} of the numbers of `states`, in their order. Caller's. */
json_t *row_states(const json_t *row);

/** The state, before row_dress(); CLOSED if this program doesn't know it. */
enum task_state row_state(const json_t *row);

/** Its name, or "unknown": a later program wrote it. */
const char *row_state_name(const json_t *row);

/** From ctl_show or ctl_order: no worker of this program's works on it. */
bool row_is_unreadable(const json_t *row);

/** The event's value, parsed from the stored form; null: none yet. Caller's. */
json_t *row_event(const json_t *row);

/**
 * Why a request isn't done, in one sentence; "" if it is. From a row of
 * ctl_show before row_dress(); what its owner said (owner.h) comes first.
 */
void row_why(const json_t *row, char *out, size_t out_bytes);

/** What was cut to fit may end within a character, which JSON can't hold: that
 * is taken off. For the whole text, when all is added to it. */
void row_why_end(char *why);

/**
 * A whole list: a table, `none` where there is no row, or JSON lines.
 *
 * @param rows     Consumed; null: could not be asked, which was said.
 * @param add_row  Adds one row to the table.
 * @return  The exit status.
 */
int rows_print(const struct ctl *ctl, json_t *rows,
               const struct column *columns,
               void (*add_row)(struct table *table, const json_t *row),
               const char *none);

#endif
