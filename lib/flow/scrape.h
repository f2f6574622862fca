#ifndef FLOW_SCRAPE_H
#define FLOW_SCRAPE_H

#include "flow/status.h"

/** /metrics: what is known only by looking is looked for now. Nothing is reset,
 * so that any number may ask. */
void scrape(const struct status *status, struct buf *out);

#endif
