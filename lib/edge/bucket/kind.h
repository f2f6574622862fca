#ifndef EDGE_BUCKET_KIND_H
#define EDGE_BUCKET_KIND_H

#include "edge/bucket.h"

/**
 * One way of storing: bucket_fs, bucket_s3. Their functions mean what those of
 * bucket.h say; keys have been checked when they get there. For the rooms of
 * buckets only.
 */
struct bucket_kind {
    const char *scheme; /* what STORAGE_URL begins with */
    struct bucket *(*open)(struct loop *loop, struct str url, int puts_max,
                           int64_t bytes_max, const struct proxy *proxy,
                           struct err *err);
    void (*uri)(const struct bucket *bucket, struct str key, char *out,
                size_t out_bytes);
    const char *(*name)(const struct bucket *bucket);
    void (*expect)(struct bucket *bucket, struct str key); /* null: it waits */
    struct put *(*put)(struct bucket *bucket, struct str key, int64_t bytes,
                       loop_fn *on_ready, bucket_fn *on_end, void *context,
                       struct err *err);
    bool (*write)(struct put *put, const char *bytes, size_t len);
    void (*finish)(struct put *put, const char *sha256);
    void (*cancel)(struct put *put);
    void (*check)(struct bucket *bucket, struct str key, bucket_fn *on_result,
                  void *context);
    void (*look)(struct bucket *bucket, struct str key, bucket_fn *on_result,
                 void *context);
    bool (*link)(struct bucket *bucket, struct str key, int expires_s,
                 struct buf *url, struct err *err);   /* null: it has none */
    const char *(*site)(const struct bucket *bucket); /* the same */
    void (*walk)(struct bucket *bucket, bucket_objects_fn *on_objects,
                 bucket_fn *on_end, void *context);
    void (*probe)(struct bucket *bucket, bucket_fn *on_result, void *context);
    bool (*forget)(struct bucket *bucket, struct str key, bucket_fn *on_result,
                   void *context); /* null: there is never anything to do */
    void (*sweep)(struct bucket *bucket, const char *key_template,
                  int64_t older_than_ms);
    void (*close)(struct bucket *bucket);
};

/** The first member of each kind's own struct. */
struct bucket {
    const struct bucket_kind *kind;
    struct loop *loop; /* set by bucket_open() */
};

/** The same for puts. */
struct put {
    const struct bucket_kind *kind;
};

extern const struct bucket_kind bucket_fs_kind;
extern const struct bucket_kind bucket_s3_kind;

/** Percent-encodes all but A-Z a-z 0-9 - . _ ~ and, in paths, "/"; cuts. */
size_t bucket_encode(struct str text, bool keep_slash, char *out,
                     size_t out_bytes);

#endif
