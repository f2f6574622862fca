#ifndef PIXVERSE_CTL_PRUNED_H
#define PIXVERSE_CTL_PRUNED_H

#include "ctl.h"

/** A request that ended long ago: of its history nothing is left. */

/** When, from a row of ctl_show, ctl_order or ctl_wait; 0: it was not. */
int64_t pruned_at_ms(const json_t *row);

/** "its history was pruned at …", for people; out: 200 bytes. */
const char *pruned_words(const json_t *row, char *out, size_t out_bytes);

/** The answer of show and explain about such a one. */
void pruned_tell(const struct ctl *ctl, const json_t *row);

#endif
