#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Who is alive (DESIGN "Leases"). Each worker bumps its counter and reads
 * others' in the same round trip. Another is taken for dead only when we,
 * connected throughout, saw its counter stand still for lease_ms on our own
 * boot clock, and not before we have been back for twice that long: after an
 * outage of the database some come back later than others. No wall clock takes
 * part.
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
    /* boot clock of the reading that first saw this counter */
    int64_t still_since_ms;
    int64_t read_ms; /* boot clock of its last reading */
    bool dead;
    bool picked; /* for the reading that is under way */
};

struct lease_watch {
    struct lease_seen *seen; /* by id */
    size_t len;
    int64_t lease_ms;
    int64_t last_ms; /* boot clock of the last reading; 0: none */
    /* boot clock of the first reading since we were cut off,
     * or of all */
    int64_t since_ms;
    int64_t all_ms; /* boot clock of the last reading of all; 0: none */
};

/** Leases of one reading that is not of all. */
#define LEASE_PICKS_MAX 64

/** Live ones that every reading has. In a fleet of so many a death is noticed a
 * beat earlier than by readings of all by turns. */
#define LEASE_LOWEST 16

void lease_watch_init(struct lease_watch *watch, int64_t lease_ms);
void lease_watch_done(struct lease_watch *watch);

/**
 * Which leases to read next: all of them, twice within lease_ms; else the
 * lowest live ones (the lowest of all works for the fleet), and those that
 * stand still or are dead.
 *
 * @param ids  LEASE_PICKS_MAX of them.
 * @return     How many; 0: all.
 */
size_t lease_watch_pick(struct lease_watch *watch, int64_t boot_ms,
                        int64_t *ids);

/**
 * Take in the reading of what was picked, ordered by id; a picked one that is
 * missing is gone. A gap since the last reading of more than half of lease_ms
 * means that we were not connected throughout: every count begins afresh. One
 * of more than lease_ms means that we were cut off.
 *
 * @param all  It is of all leases.
 * @return     false only without memory.
 */
bool lease_watch_read(struct lease_watch *watch, const struct lease_row *rows,
                      size_t len, bool all, int64_t boot_ms);

/**
 * The next lease to declare dead: the first one above `after`, other than our
 * own.
 *
 * @param counter  Set to where it was seen to stand still.
 * @return         0: none.
 */
int64_t lease_watch_suspect(const struct lease_watch *watch, int64_t own,
                            int64_t after, int64_t boot_ms, int64_t *counter);

/**
 * When a reading may find the next one to declare dead, if its counter goes on
 * standing still: so that it needn't wait for the reading behind that.
 *
 * @return  Boot clock, later than the last reading; INT64_MAX: none stands
 *          still.
 */
int64_t lease_watch_due_ms(const struct lease_watch *watch, int64_t own);

/** Some lease row is dead and not yet removed: orphans may be waiting. */
int64_t lease_watch_dead(const struct lease_watch *watch);

/** When it was last seen to move: boot clock; 0: it is not known. */
int64_t lease_watch_moved_ms(const struct lease_watch *watch, int64_t id);

/** The lowest live one; 0: none. */
int64_t lease_watch_lowest(const struct lease_watch *watch);

/** Live ones, our own included. */
size_t lease_watch_alive(const struct lease_watch *watch);

/**
 * Whether a submission may begin: within three quarters of lease_ms since the
 * start of the last bump that succeeded.
 */
bool lease_may_submit(int64_t bump_started_ms, int64_t lease_ms,
                      int64_t boot_ms);

#endif
