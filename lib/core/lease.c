#include "core/lease.h"

#include <stdlib.h>

void lease_watch_init(struct lease_watch *watch, int64_t lease_ms)
{
    *watch = (struct lease_watch){.lease_ms = lease_ms};
}

void lease_watch_done(struct lease_watch *watch)
{
    free(watch->seen);
    *watch = (struct lease_watch){.lease_ms = watch->lease_ms};
}

/** What was known of a lease; readings mostly keep their order. */
static const struct lease_seen *find(const struct lease_watch *watch,
                                     int64_t id, size_t hint)
{
    if (hint < watch->len && watch->seen[hint].id == id) {
        return &watch->seen[hint];
    }
    for (size_t i = 0; i < watch->len; i++) {
        if (watch->seen[i].id == id) {
            return &watch->seen[i];
        }
    }
    return NULL;
}

bool lease_watch_read(struct lease_watch *watch, const struct lease_row *rows,
                      size_t len, int64_t boot_ms)
{
    struct lease_seen *seen = calloc(len ? len : 1, sizeof *seen);
    if (!seen) {
        return false;
    }
    const bool connected =
        watch->last_ms != 0 && boot_ms - watch->last_ms <= watch->lease_ms / 2;
    for (size_t i = 0; i < len; i++) {
        const struct lease_seen *before = find(watch, rows[i].id, i);
        const bool still =
            connected && before && before->counter == rows[i].counter;
        seen[i] = (struct lease_seen){
            .id = rows[i].id,
            .counter = rows[i].counter,
            .still_since_ms = still ? before->still_since_ms : boot_ms,
            .dead = rows[i].dead,
        };
    }
    free(watch->seen);
    watch->seen = seen;
    watch->len = len;
    watch->size = len;
    watch->last_ms = boot_ms;
    return true;
}

int64_t lease_watch_suspect(const struct lease_watch *watch, int64_t own,
                            int64_t boot_ms)
{
    if (boot_ms - watch->last_ms > watch->lease_ms / 2) {
        return 0; /* we are the one who is cut off */
    }
    for (size_t i = 0; i < watch->len; i++) {
        const struct lease_seen *lease = &watch->seen[i];
        /* Up to the last reading and no further: what has happened since then
         * nobody told us. */
        if (!lease->dead && lease->id != own &&
            watch->last_ms - lease->still_since_ms >= watch->lease_ms) {
            return lease->id;
        }
    }
    return 0;
}

int64_t lease_watch_dead(const struct lease_watch *watch)
{
    for (size_t i = 0; i < watch->len; i++) {
        if (watch->seen[i].dead) {
            return watch->seen[i].id;
        }
    }
    return 0;
}

size_t lease_watch_alive(const struct lease_watch *watch)
{
    size_t alive = 0;
    for (size_t i = 0; i < watch->len; i++) {
        alive += !watch->seen[i].dead;
    }
    return alive;
}

bool lease_may_submit(int64_t bump_started_ms, int64_t lease_ms,
                      int64_t boot_ms)
{
    return bump_started_ms > 0 && boot_ms - bump_started_ms <= lease_ms / 4 * 3;
}
