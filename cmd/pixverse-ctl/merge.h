#ifndef PIXVERSE_CTL_MERGE_H
#define PIXVERSE_CTL_MERGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** Answers of several cells become one. */

/**
 * Of lists, each the newest first, the newest `most`; within a list the order
 * stays.
 *
 * @param lists  An array of SETTING_CELLS_MAX arrays at most.
 * @param more   Whether there are more than that.
 * @return       The caller's.
 */
json_t *merge_newest(const json_t *lists, size_t most, bool *more);

/**
 * Rows of ctl_stats: those with the same keys are added up.
 *
 * @param all   In the order of `keys`, which has `keys_len` names.
 * @param rows  Taken in.
 */
void merge_stats(json_t *all, const json_t *rows, const char *const *keys,
                 size_t keys_len);

/** A row of ctl_top: what can be added is, of times the earliest counts, of now
 * the latest. */
void merge_top(json_t *all, const json_t *row);

#endif
