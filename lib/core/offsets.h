#ifndef CORE_OFFSETS_H
#define CORE_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct offsets_entry;

/**
 * How far one partition may be committed: up to the first message that is not
 * finished, whatever was finished behind it. Offsets come in growing order,
 * perhaps with gaps (compaction, transactions leave them). A partition that is
 * wound back begins a new epoch: the same offset may then be another message.
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
 * @param epoch  Comes back with offsets_finish().
 *
 * Without memory the tracker fails for good: then nothing is passed any more,
 * which costs a repeated delivery and never a loss.
 *
 * @return  false if the offset is not above the last one: the partition was
 *          wound back, and the caller must offsets_rewind() to it.
 */
bool offsets_add(struct offsets *offsets, int64_t offset, uint32_t epoch);

/**
 * The partition goes on at `offset`, which is not above the last one. What is
 * unfinished before it still holds up the prefix: it is not read again. What
 * was added from there on is forgotten: it comes again, under another epoch.
 */
void offsets_rewind(struct offsets *offsets, int64_t offset);

/** Whether that message is known under that epoch and not finished. */
bool offsets_waits_for(const struct offsets *offsets, int64_t offset,
                       uint32_t epoch);

/**
 * A message was dealt with for good. One that is not known (never added, or
 * under another epoch, or finished before) changes nothing.
 *
 * @return  Whether offsets->prefix moved.
 */
bool offsets_finish(struct offsets *offsets, int64_t offset, uint32_t epoch);

/** Gives all memory back; a zeroed struct is accepted. */
void offsets_done(struct offsets *offsets);

/**
 * Where a group that has committed so far goes on when it is set back in time:
 * never further on, which would pass what was not read.
 *
 * @param committed  -1: nothing; it begins at the earliest in any case.
 * @param by_time    The first offset of that time; -1: nothing is so new.
 * @return           -1: it stays where it is.
 */
int64_t offsets_back_to(int64_t committed, int64_t by_time);

#endif
