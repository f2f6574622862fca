#ifndef FLOW_ORDER_H
#define FLOW_ORDER_H

#include "flow/engine.h"

/**
 * What an operator ordered about tasks of ours, told with every beat until it
 * is done: one that comes while an effect runs is obeyed with a later beat.
 */
void order_cancel(struct engine *engine, const int64_t *tasks, size_t len);

#endif
