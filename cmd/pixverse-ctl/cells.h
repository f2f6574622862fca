#ifndef PIXVERSE_CTL_CELLS_H
#define PIXVERSE_CTL_CELLS_H

#include "ctl.h"

/**
 * Cells: whole services side by side, a database each, of which a request is in
 * one. A command that knows them asks one after the other:
 *
 *     for (size_t i = 0; i < cells_len(ctl); i++) {
 *         cells_turn(ctl, i);
 *         json_t *rows = ctl_rows(ctl, …);
 *
 * Without DATABASE_URLS there is one, that of DATABASE_URL, without a name.
 */

/** From DATABASE_URLS, each judged; false with lines in *faults, or no
 * memory. */
bool cells_open(struct ctl *ctl, struct buf *faults);
void cells_close(struct ctl *ctl);

size_t cells_len(const struct ctl *ctl);

/** From here on ctl_rows() asks the i-th one, and says nothing if it was away
 * before. */
void cells_turn(struct ctl *ctl, size_t i);

/** Its name; null where there is one without. */
const char *cells_name(const struct ctl *ctl);

/** "cell" is set in each row, where cells have names. Null is let pass. */
void cells_mark(const struct ctl *ctl, json_t *rows);

/** Those that were away are asked again. */
void cells_again(struct ctl *ctl);

/** [{"cell":"a"},{"cell":"b","away":"why"}]; the caller's. */
json_t *cells_told(const struct ctl *ctl);

/** What a command that is done ends with: EXIT_LEFT where some were away,
 * EXIT_FAILED where all were. */
int cells_status(const struct ctl *ctl, int status);

#endif
