#ifndef EDGE_REWIND_H
#define EDGE_REWIND_H

#include "edge/topics.h"

/**
 * A group's offsets, set back in time. Blocks for seconds: for commands, never
 * for a loop.
 */

/** One partition of the topic. */
struct rewind_part {
    int32_t partition;
    int64_t committed; /* -1: nothing; the group begins at the earliest */
    int64_t to;        /* never above committed; -1: stays as it is */
};

/**
 * What is committed, and what the first message that was produced at to_ms or
 * later stands at. Nothing changes. A group with members is refused: they would
 * commit over what is set.
 *
 * @param parts  Set to *len of them, by partition; the caller frees.
 * @return       false with *err set: ERR_TRANSIENT no broker answers,
 *               ERR_PERMANENT the group has members (they are named), the
 *               topic isn't there, a right is missing.
 */
MUST_CHECK bool rewind_look(const struct topics_options *options,
                            const char *topic, int64_t to_ms,
                            struct rewind_part **parts, size_t *len,
                            struct err *err);

/** Commits parts[].to, for those that have one. @return as rewind_look(). */
MUST_CHECK bool rewind_commit(const struct topics_options *options,
                              const char *topic,
                              const struct rewind_part *parts, size_t len,
                              struct err *err);

#endif
