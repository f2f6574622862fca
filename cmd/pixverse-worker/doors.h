#ifndef PIXVERSE_WORKER_DOORS_H
#define PIXVERSE_WORKER_DOORS_H

#include "base/proxy.h"
#include "base/settings.h"
#include "edge/admin.h"
#include "flow/worker.h"

/** What a worker goes through, opened as the settings say. */
struct doors {
    struct stage_edges edges;
    struct consumer *consumer;
    struct admin *admin;
    struct kafka_property *properties; /* of the Kafka clients */
    struct proxy proxy;                /* where the settings name one */
};

/**
 * Opens them all. A storage that can't be reached is tried until it can, before
 * anything else is opened.
 *
 * @param worker  Whom the doors will call, from the loop: worker_init() comes
 *                before that runs.
 * @param err     Why not; of a storage it was logged.
 */
MUST_CHECK bool doors_open(struct doors *doors, const struct settings *settings,
                           struct worker *worker, struct err *err);

/** All through which something may be under way. */
void doors_close(struct doors *doors);

/** The rest, after doors_close() and worker_done(). */
void doors_done(struct doors *doors);

#endif
