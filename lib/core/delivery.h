#ifndef CORE_DELIVERY_H
#define CORE_DELIVERY_H

#include "core/outcome.h"
#include "core/request.h"

/**
 * Whether what was delivered is what was ordered. It is told and counted, and
 * decides nothing: what came is paid and stored either way.
 */

/*      name                        the warning's code   field */
#define DELIVERY_DIFFERENCES(X)                                                \
    X(DELIVERY_RESOLUTION, "resolution_differs", "resolution")                 \
    X(DELIVERY_DURATION, "duration_differs", "duration")                       \
    X(DELIVERY_ASPECT, "aspect_differs", "size")                               \
    X(DELIVERY_AUDIO_MISSING, "audio_missing", "audio")                        \
    X(DELIVERY_AUDIO_UNASKED, "audio_unasked", "audio")

enum delivery_difference {
#define X(name, code, field) name,
    DELIVERY_DIFFERENCES(X)
#undef X
        DELIVERY_DIFFERENCES_LEN
};

#define DELIVERY_BIT(difference) (1u << (difference))

/** The warning's code, and the word of the metric. */
const char *delivery_code(enum delivery_difference difference);

/**
 * Compare all videos with the order. What is not known of a video differs from
 * nothing, nor does a field whose order can't be read.
 *
 * @param body      The bytes that were sent; fields that it has not were
 *                  ordered as the provider documents (apimart.md, "Submit").
 * @param differs   Gets a DELIVERY_BIT for each difference.
 * @param warnings  Gets one for each, that speaks of the first such video.
 * @param arena     Where they live.
 * @return          false: no memory.
 */
bool delivery_compare(struct str body, enum request_mode mode,
                      const struct stored_video *videos, size_t videos_len,
                      unsigned *differs, struct details *warnings,
                      struct arena *arena);

#endif
