#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Who is alive (DESIGN "Leases"). Each worker bumps its counter and sees all
 * others' in the same round trip. Another is taken for dead only when we,
 * connected throughout, saw its counter stand still for lease_ms on our own
 * boot clock. No wall clock takes part.
 */

/** A lease row as read. */
struct lease_row {
    int64_t id;
    int64_t counter;
    bool dead; /* declared dead, or left by itself: its tasks are orphans */
};

struct lease_seen {
    int64_t id;
    int64_t counter;
    int64_t still_since_ms; /* boot clock of the reading that first saw this counter */
    bool dead;
};

struct lease_watch {
    struct lease_seen *seen;
    size_t len;
    size_t size;
    int64_t lease_ms;
    int64_t last_ms; /* boot clock of the last reading; 0: none */
};

void lease_watch_init(struct lease_watch *watch, int64_t lease_ms);
void lease_watch_done(struct lease_watch *watch);

/**
 * Take in one reading of all lease rows. A gap since the last reading of more
 * than half of lease_ms means that we were not connected throughout: every
 * count begins afresh.
 *
 * @return false only without memory.
 */
bool lease_watch_read(struct lease_watch *watch, const struct lease_row *rows,
                      size_t len, int64_t boot_ms);

/** The next lease to declare dead, other than our own; 0: none. */
int64_t lease_watch_suspect(const struct lease_watch *watch, int64_t own,
                            int64_t boot_ms);

/** Some lease row is dead and not yet removed: orphans may be waiting. */
int64_t lease_watch_dead(const struct lease_watch *watch);

/** Live ones, our own included. */
size_t lease_watch_alive(const struct lease_watch *watch);

/**
 * Whether a submission may begin: within three quarters of lease_ms since the
 * start of the last bump that succeeded.
 */
bool lease_may_submit(int64_t bump_started_ms, int64_t lease_ms,
                      int64_t boot_ms);

#endif
