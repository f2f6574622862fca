#ifndef PIXVERSE_CTL_OWNER_H
#define PIXVERSE_CTL_OWNER_H

#include "ctl.h"

/**
 * Asks the worker that owns a task for what only it knows: progress, the next
 * poll. The lease names its address.
 *
 * @param row  Of ctl_show, before row_dress(). Gets `live` (the answer), or
 *             `unasked` (why there is none), or neither: nobody owns it.
 */
void owner_ask(json_t *row);

#endif
