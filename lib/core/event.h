#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "base/arena.h"
#include "core/step.h"

/**
 * What goes out on Kafka (CONTRACT "Events"): CloudEvents 1.0 in binary mode.
 * An event is rendered once, into one text that is stored with the row, and
 * taken apart again for each delivery, so that repeats have the same bytes.
 */

#define EVENT_BYTES_MAX (256 * 1024)
#define EVENT_HEADERS_MAX 12

struct event_header {
    struct str name;
    struct str value;
};

/** Ready for the producer; slices into the stored text. */
struct event {
    struct str key;
    struct event_header headers[EVENT_HEADERS_MAX];
    size_t headers_len;
    struct str value;
};

/**
 * Render the end of a task.
 *
 * @param row      As it will be saved: SUCCEEDED or FAILED, its times filled
 * in.
 * @param failure  FAILED: what to tell; null otherwise.
 * @param details  FAILED by our validation: the faults; null otherwise.
 * @param differs  Where what was delivered is not what was ordered; null: it
 *                 is. Told behind the request's own warnings.
 * @return         The stored form, NUL-terminated text in the arena; null
 *                 without memory.
 */
char *event_render(const struct task_row *row, const struct facts *facts,
                   const struct failure *failure, const struct details *details,
                   const struct stored_video *videos, size_t videos_len,
                   const struct details *differs, struct arena *arena);

/** Take a stored form apart; false if it is none. */
bool event_open(struct str stored, struct event *event);

/**
 * That a request was taken in, not stored: made of what is, the same each time.
 *
 * @return  false: no memory.
 */
bool event_accepted(const struct facts *facts, struct arena *arena,
                    struct event *event);

/**
 * A progress message, not stored.
 *
 * @param random  16 random bytes for its ce_id.
 */
bool event_progress(const struct task_row *row, const struct facts *facts,
                    struct str status, int progress, int64_t now_ms,
                    const unsigned char random[16], struct arena *arena,
                    struct event *event);

#endif
