#ifndef FLOW_TURN_CRASH_H
#define FLOW_TURN_CRASH_H

#include "core/task.h"

/** Tests kill the worker before and after every kind of save. */
void turn_crashpoint(const struct task_row *row, bool saved);

#endif
