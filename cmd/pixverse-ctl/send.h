#ifndef PIXVERSE_CTL_SEND_H
#define PIXVERSE_CTL_SEND_H

#include "ctl.h"
#include "edge/producer.h"
#include "submit_read.h"

/**
 * Put all on the request topic and wait for the broker's word on each.
 *
 * @return  Whether all were acknowledged; else what is wrong was printed.
 */
bool send_all(struct ctl *ctl, struct loop *loop,
              const struct submissions *submissions);

/**
 * Put messages on topics and wait for the broker's word on each.
 *
 * @param loop          null: one of its own.
 * @param acknowledged  `len` of them: which the brokers have.
 * @return              How many were acknowledged; what is wrong was printed.
 */
size_t send_messages(struct ctl *ctl, struct loop *loop, const char *command,
                     const struct outgoing *all, size_t len,
                     bool *acknowledged);

#endif
