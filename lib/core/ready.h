#ifndef CORE_READY_H
#define CORE_READY_H

#include "core/move.h"

/**
 * The rules of READY: a paid video is there, and has to be brought home. Cells
 * of the table in step.c.
 */

void ready_no_better_url(struct move *m);
void ready_refreshed(struct move *m);
void ready_denied(struct move *m);
void ready_missed(struct move *m);
void ready_stored(struct move *m);
void ready_fetch_failed(struct move *m);
void ready_fetch_refused(struct move *m);
void ready_unusable(struct move *m);
void ready_oversize(struct move *m);
void ready_store_failed(struct move *m);
void ready_time_up(struct move *m);

#endif
