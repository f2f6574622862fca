#ifndef SIM_FAULT_KINDS_H
#define SIM_FAULT_KINDS_H

#include "fault_order.h"

#include "base/buf.h"

/** The table of kinds. */

const struct fault_kind *fault_kind_find(const char *name);
/** The names of all kinds, for messages: "a, b, c". */
void fault_kind_names(struct buf *out);

#endif
