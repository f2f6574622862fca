#include "core/lease.h"

#include <assert.h>
#include <stdlib.h>

void lease_watch_init(struct lease_watch *watch, int64_t lease_ms)
{
    assert(lease_ms >= 1);
    *watch = (struct lease_watch){.lease_ms = lease_ms};
}

void lease_watch_done(struct lease_watch *watch)
{
    free(watch->seen);
    *watch = (struct lease_watch){.lease_ms = watch->lease_ms};
}

/** So long a gap between two readings that a counter may have moved and come
 * to rest within it: what stood still before it counts for nothing. */
static bool had_gap(const struct lease_watch *watch, int64_t boot_ms)
{
    return watch->last_ms == 0 ||
           boot_ms - watch->last_ms > watch->lease_ms / 2;
}

/** Longer than that: the database may have been away, from us or from all, and
 * who comes back comes at another time than we. A beat that was merely late, as
 * on a busy machine, is no such thing. */
static bool was_cut_off(const struct lease_watch *watch, int64_t boot_ms)
{
    return watch->last_ms == 0 || boot_ms - watch->last_ms > watch->lease_ms;
}

size_t lease_watch_pick(struct lease_watch *watch, int64_t boot_ms,
                        int64_t *ids)
{
    assert(ids && boot_ms >= watch->last_ms);
    /* Every other beat, even where it comes a little early. */
    const bool all = watch->len == 0 || had_gap(watch, boot_ms) ||
                     boot_ms - watch->all_ms >= watch->lease_ms / 10 * 3;
    size_t len = 0;
    size_t live = 0;
    for (size_t i = 0; i < watch->len; i++) {
        struct lease_seen *lease = &watch->seen[i];
        bool still = lease->dead || lease->still_since_ms < lease->read_ms;
        live += !lease->dead;
        lease->picked =
            !all && len < LEASE_PICKS_MAX && (still || live <= LEASE_LOWEST);
        if (lease->picked) {
            ids[len++] = lease->id;
        }
    }
    assert(len <= LEASE_PICKS_MAX && live <= watch->len);
    return len;
}

/** What is known of a lease after a reading. */
static struct lease_seen see(const struct lease_watch *watch,
                             const struct lease_seen *before,
                             const struct lease_row *row, int64_t boot_ms)
{
    assert(!before || before->id == row->id);
    const bool still =
        !had_gap(watch, boot_ms) && before && before->counter == row->counter;
    return (struct lease_seen){
        .id = row->id,
        .counter = row->counter,
        .still_since_ms = still ? before->still_since_ms : boot_ms,
        .read_ms = boot_ms,
        .dead = row->dead,
    };
}

/** One that was not read: its count goes on, unless there was a gap. */
static struct lease_seen keep(const struct lease_watch *watch,
                              const struct lease_seen *before, int64_t boot_ms)
{
    assert(!before->picked);
    struct lease_seen seen = *before;
    if (had_gap(watch, boot_ms)) {
        seen.still_since_ms = boot_ms;
        seen.read_ms = boot_ms;
    }
    return seen;
}

bool lease_watch_read(struct lease_watch *watch, const struct lease_row *rows,
                      size_t len, bool all, int64_t boot_ms)
{
    assert((rows || len == 0) && boot_ms >= watch->last_ms);
    struct lease_seen *seen = calloc(watch->len + len + 1, sizeof *seen);
    if (!seen) {
        return false;
    }
    size_t n = 0;
    size_t k = 0; /* both are ordered by id */
    for (size_t i = 0; i < len; i++) {
        assert(i == 0 || rows[i - 1].id < rows[i].id);
        for (; k < watch->len && watch->seen[k].id < rows[i].id; k++) {
            if (!all && !watch->seen[k].picked) {
                seen[n++] = keep(watch, &watch->seen[k], boot_ms);
            }
        }
        const bool known = k < watch->len && watch->seen[k].id == rows[i].id;
        seen[n++] =
            see(watch, known ? &watch->seen[k] : NULL, &rows[i], boot_ms);
        k += known;
    }
    for (; k < watch->len; k++) {
        if (!all && !watch->seen[k].picked) {
            seen[n++] = keep(watch, &watch->seen[k], boot_ms);
        }
    }
    if (was_cut_off(watch, boot_ms)) {
        watch->since_ms = boot_ms;
    }
    if (all) {
        watch->all_ms = boot_ms;
    }
    assert(n >= len && n <= watch->len + len);
    free(watch->seen);
    watch->seen = seen;
    watch->len = n;
    watch->last_ms = boot_ms;
    return true;
}

int64_t lease_watch_suspect(const struct lease_watch *watch, int64_t own,
                            int64_t after, int64_t boot_ms, int64_t *counter)
{
    assert(watch->lease_ms >= 1 && counter);
    if (had_gap(watch, boot_ms) ||
        watch->last_ms - watch->since_ms < 2 * watch->lease_ms) {
        return 0; /* we are the one who is late, or cut off until now */
    }
    for (size_t i = 0; i < watch->len; i++) {
        const struct lease_seen *lease = &watch->seen[i];
        /* Up to its last reading and no further: what has happened since then
         * nobody told us. */
        if (!lease->dead && lease->id != own && lease->id > after &&
            lease->read_ms - lease->still_since_ms >= watch->lease_ms) {
            *counter = lease->counter;
            return lease->id;
        }
    }
    return 0;
}

int64_t lease_watch_due_ms(const struct lease_watch *watch, int64_t own)
{
    assert(watch->lease_ms >= 1);
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < watch->len; i++) {
        const struct lease_seen *lease = &watch->seen[i];
        int64_t at_ms = watch->since_ms + 2 * watch->lease_ms;
        if (at_ms < lease->still_since_ms + watch->lease_ms) {
            at_ms = lease->still_since_ms + watch->lease_ms;
        }
        if (!lease->dead && lease->id != own &&
            lease->still_since_ms < lease->read_ms && at_ms > watch->last_ms &&
            at_ms < due_ms) {
            due_ms = at_ms;
        }
    }
    return due_ms;
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

int64_t lease_watch_moved_ms(const struct lease_watch *watch, int64_t id)
{
    for (size_t i = 0; i < watch->len; i++) {
        if (watch->seen[i].id == id) {
            return watch->seen[i].still_since_ms;
        }
    }
    return 0;
}

int64_t lease_watch_lowest(const struct lease_watch *watch)
{
    for (size_t i = 0; i < watch->len; i++) {
        if (!watch->seen[i].dead) {
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
    assert(lease_ms >= 1);
    return bump_started_ms > 0 && boot_ms - bump_started_ms <= lease_ms / 4 * 3;
}
