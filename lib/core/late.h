#ifndef CORE_LATE_H
#define CORE_LATE_H

#include "core/move.h"

/**
 * The rules of what is settled and to be told next, and of LATE: the failure is
 * told, payment is open, the video may still come. Cells of the table in
 * step.c.
 */

void late_told(struct move *m);
void late_untold(struct move *m);
void late_again(struct move *m);
void late_time_up(struct move *m);
void late_failed(struct move *m);

#endif
