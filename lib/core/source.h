#ifndef CORE_SOURCE_H
#define CORE_SOURCE_H

#include "base/arena.h"
#include "base/str.h"

/**
 * A request that extends another one of ours (CONTRACT "Chains"). Its body is a
 * template: made once, at intake, it ends with our own id of the source,
 *
 *   {"model":…,"extend_from_request_id":"order-1"}
 *
 * What the provider calls that is known when the source is finished upstream,
 * and stands in the row from then on (task.source_task_id): so every send of a
 * submission has the same bytes, whoever joins them.
 */

/**
 * The bytes to send.
 *
 * @param body            As it is stored; no template: it comes back as it is.
 * @param source_task_id  The provider's id, as the row has it; null: none.
 * @return                In the arena; absent: no memory, or a template without
 *                        an id, which must not leave: the provider would bill a
 *                        text without a source.
 */
struct str source_join(struct str body, const char *source_task_id,
                       struct arena *arena);

#endif
