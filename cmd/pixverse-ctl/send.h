#ifndef PIXVERSE_CTL_SEND_H
#define PIXVERSE_CTL_SEND_H

#include "ctl.h"
#include "submit_read.h"

/**
 * Put all on the request topic and wait for the broker's word on each.
 *
 * @return  Whether all were acknowledged; else what is wrong was printed.
 */
bool send_all(struct ctl *ctl, struct loop *loop,
              const struct submissions *submissions);

#endif
