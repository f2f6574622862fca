#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "fault_order.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/**
 * Add what a JSON list (or one object) orders: all of it, or nothing.
 *
 * @return  false, with *err naming the field, its value and what is allowed.
 */
MUST_CHECK bool faults_add(struct faults *faults, struct str json,
                           struct err *err);

/** The same from `spec`: JSON, or the name of a file that holds it. */
MUST_CHECK bool faults_add_spec(struct faults *faults, const char *spec,
                                struct err *err);

/**
 * The first fault that strikes this call at this stage, its count taken; null
 * if none does. `site` is null for STAGE_ACCEPT.
 */
const struct fault *faults_pick(struct faults *faults, enum fault_stage stage,
                                struct site *site, uint64_t seed);

/** What was ordered and how often each struck, as JSON. */
void faults_write(const struct faults *faults, struct buf *out);

#endif
