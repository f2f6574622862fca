#ifndef FLOW_SCRAPE_H
#define FLOW_SCRAPE_H

#include "edge/consumer.h"
#include "flow/engine.h"

/**
 * /metrics: what is known only by looking is looked for now. Nothing is reset,
 * so that any number may ask.
 *
 * @param consumer  null: none yet.
 * @param ready     As /readyz says.
 */
void scrape(struct engine *engine, const struct consumer *consumer, bool ready,
            struct buf *out);

#endif
