#ifndef CORE_OFFSETS_H
#define CORE_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct offsets_entry;

/**
 * How far one partition may be committed: up to the first message that is not
 * finished, whatever was finished behind it. Offsets come in growing order,
 * perhaps with gaps (compaction, transactions leave them).
 */
struct offsets {
    struct offsets_entry *ring; /* oldest at `head` */
    size_t head;
    size_t len;
    size_t size;    /* of the ring: 0 or a power of two */
    int64_t last;   /* the newest offset that was added; -1: none */
    int64_t prefix; /* what to commit: the next offset to read; -1: nothing */
    bool failed;    /* no memory once: the prefix stays where it is for good */
};

/** Allocates nothing yet. */
void offsets_init(struct offsets *offsets);

/**
 * A message was handed out.
 *
 * Without memory the tracker fails for good: then nothing is passed any more,
 * which costs a repeated delivery and never a loss.
 *
 * @return  false if the offset is not above the last one: the partition was
 *          wound back, and the caller must begin a new tracker.
 */
bool offsets_add(struct offsets *offsets, int64_t offset);

/**
 * A message was dealt with for good. One that is not known (never added, or
 * finished before) changes nothing.
 *
 * @return  Whether offsets->prefix moved.
 */
bool offsets_finish(struct offsets *offsets, int64_t offset);

/** Gives all memory back; a zeroed struct is accepted. */
void offsets_done(struct offsets *offsets);

#endif
