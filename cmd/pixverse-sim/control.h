#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "world.h"

/** Answer /sim/…: ledger, stats, faults, reset. */
void control_serve(struct site *site);

#endif
