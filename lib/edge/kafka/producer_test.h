#ifndef EDGE_KAFKA_PRODUCER_TEST_H
#define EDGE_KAFKA_PRODUCER_TEST_H

#include "edge/producer.h"

/** For tests only: the present client turns fatal, as by a broker's verdict. */
void producer_make_fatal(struct producer *producer);

/** How many clients there have been: 1 before the first replacement. */
int producer_clients(const struct producer *producer);

#endif
