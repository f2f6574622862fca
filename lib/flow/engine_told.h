#ifndef FLOW_ENGINE_TOLD_H
#define FLOW_ENGINE_TOLD_H

#include "flow/engine.h"

/** What the engine is told by the fleet, the intake and the worker. */

/** A lease is ours from now on. */
void engine_joined(struct engine *engine, int64_t owner);

/** A bump succeeded: it began at bump_started_ms (boot clock), when
 * PostgreSQL's clock said now_ms. */
void engine_bumped(struct engine *engine, int64_t bump_started_ms,
                   int64_t now_ms);

/** Our lease is dead: drop every job; sends are read to their end. */
void engine_lost(struct engine *engine);

void engine_want_claims(struct engine *engine);
void engine_want_adopts(struct engine *engine);
/** Of rows that never had an owner. */
void engine_want_nobodys(struct engine *engine);
void engine_want_expiry(struct engine *engine);
void engine_want_chains(struct engine *engine);

/** The store is there again after an absence. */
void engine_store_is_back(struct engine *engine);

/** The store's first probe is over: what is bought can be stored, or a hold
 * stands. */
void engine_storage_tried(struct engine *engine);

/** The holds in our scope, as last read; lifting one begins slowly again. all:
 * the worst for all accounts; each: of every account its own. */
void engine_set_holds(struct engine *engine, enum hold_reason all,
                      const enum hold_reason *each);

/** Another URL than ours is stored for the name of that account, or not. */
void engine_set_misfit(struct engine *engine, size_t account, bool misfit);

/** No claims, no new effects but announcements; on_idle once all is safe. */
void engine_drain(struct engine *engine, loop_fn *on_idle, void *context);

/** Cut short what drain still waits for: transfers, then polls. */
void engine_hurry(struct engine *engine);

#endif
