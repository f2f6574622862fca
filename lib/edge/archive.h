#ifndef EDGE_ARCHIVE_H
#define EDGE_ARCHIVE_H

#include "edge/store.h"

/**
 * What has ended, in PostgreSQL: counted by day, pruned, and at last forgotten.
 * It has a connection of its own, which is there for a pass only: nothing that
 * is under way waits for it.
 *
 * A pass is begun, its calls follow one another, and it is ended. Each call
 * ends in its callback exactly once, after it returned, unless the archive is
 * closed before. After an error a pass is to be ended.
 */
struct archive;

struct archive *archive_open(struct loop *loop,
                             const struct store_options *options,
                             struct err *err);
/** Nobody is called back any more. Null is accepted. */
void archive_close(struct archive *archive);

/** Connects, and asks to be the one; done: we are, until the end of the
 * pass. */
void archive_begin(struct archive *archive, store_done_fn *on_done,
                   void *context);
/** The connection goes. */
void archive_end(struct archive *archive);

#define ARCHIVE_DAYS_MAX 100

struct archive_look {
    int64_t oldest_ms;              /* end that is kept; 0: none */
    int64_t counted_ms;             /* when a day was last counted; 0: never */
    int64_t days[ARCHIVE_DAYS_MAX]; /* that have ends and are to be counted */
    size_t days_len;
};

typedef void archive_look_fn(void *context, const struct archive_look *look,
                             const struct err *err);

/** Days from from_ms to before to_ms, both beginnings of days. */
void archive_look(struct archive *archive, int64_t from_ms, int64_t to_ms,
                  archive_look_fn *on_look, void *context);

/** Counts what is there of a day; not done: it was changed meanwhile, and is
 * to be counted again. */
void archive_count(struct archive *archive, int64_t day, int64_t now_ms,
                   store_done_fn *on_done, void *context);

struct archive_batch {
    int64_t gone;
    bool more;
    int64_t last_ms; /* of the last one seen: where to go on */
};

typedef void archive_batch_fn(void *context, const struct archive_batch *batch,
                              const struct err *err);

/** Prunes a batch of what ended from from_ms to before before_ms, the oldest
 * first; what waits, is in flight or untold stays. And what says of rejected
 * messages that they were replayed before before_ms. */
void archive_prune(struct archive *archive, int64_t before_ms, int64_t from_ms,
                   int64_t now_ms, archive_batch_fn *on_batch, void *context);

/** Forgets a batch of pruned ids, if since when ids are known was moved before
 * settled_ms. */
void archive_forget(struct archive *archive, int64_t settled_ms,
                    archive_batch_fn *on_batch, void *context);

/** Writes down since when ids are known, if that was moved before settled_ms;
 * done: it is later than before. */
void archive_mark(struct archive *archive, int64_t known_from_ms,
                  int64_t now_ms, int64_t settled_ms, store_done_fn *on_done,
                  void *context);

#endif
