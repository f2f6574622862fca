#ifndef FLOW_MINE_H
#define FLOW_MINE_H

#include "flow/turn.h"

/** After an absence: what is ours, and what became of what we had sent. For
 * turn_hooks.on_mine. */
void mine_came(struct turns *turns, const struct turn_result *result);

#endif
