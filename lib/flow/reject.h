#ifndef FLOW_REJECT_H
#define FLOW_REJECT_H

#include "flow/item.h"

/**
 * Out to the rejected topic, with the original key, value and headers. Takes
 * the item over: its offset passes with the broker's acknowledgement, however
 * long that takes.
 */
void reject(struct item *item, enum request_reject reason);

#endif
