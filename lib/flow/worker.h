#ifndef FLOW_WORKER_H
#define FLOW_WORKER_H

#include "base/settings.h"

/**
 * One worker, whole: opens the doors, ties intake, engine and fleet together,
 * answers probes, and on SIGTERM drains.
 */

/** Exit statuses (CONTRACT "Commands"). */
enum worker_end {
    WORKER_DONE = 0,
    WORKER_FAILED = 1,
    WORKER_MISFIT = 3, /* the schema does not fit this program */
};

/** Runs until drained. Logs why it ends. */
enum worker_end worker_run(const struct settings *settings);

#endif
