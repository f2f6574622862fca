#ifndef PIXVERSE_CTL_WAIT_H
#define PIXVERSE_CTL_WAIT_H

#include "ctl.h"
#include "submit_read.h"

struct wait;

/**
 * Begin to look on, before anything is sent: the progress topic, where one is
 * set, is read from now on.
 *
 * @return  null after saying why not.
 */
struct wait *wait_begin(struct ctl *ctl, struct loop *loop,
                        const struct submissions *submissions);

/**
 * Show how they come along until each has ended; prints each end.
 *
 * @return  EXIT_DONE if all were completed, else EXIT_FAILED.
 */
int wait_run(struct wait *wait);

void wait_end(struct wait *wait); /* null is accepted */

#endif
