#ifndef PIXVERSE_CTL_VITALS_H
#define PIXVERSE_CTL_VITALS_H

#include "ctl.h"

/** What workers say of themselves (sql/query/ctl_workers.sql), for workers and
 * top. */

/** All live workers, dressed: states, slots, rates a minute, times and what
 * they are at by name. The caller's; null after saying why not. */
json_t *vitals_read(struct ctl *ctl);

/** A row each: for people. */
void vitals_print(const struct ctl *ctl, const json_t *workers);

/** A rate of all of them together, a minute. */
double vitals_rate(const json_t *workers, const char *name);

#endif
