#ifndef PIXVERSE_WORKER_TOPICS_H
#define PIXVERSE_WORKER_TOPICS_H

#include "base/settings.h"
#include "edge/topics.h"

#define WISHES_MAX 4

/** The topics that a worker with these settings uses; how many. */
size_t topics_of(const struct settings *settings,
                 struct topic_wish wishes[static WISHES_MAX]);

/** KAFKA_CONF_*, for the doors; free() gives it back. null: no memory. */
struct kafka_property *properties_of(const struct settings *settings);

#endif
