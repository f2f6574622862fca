#ifndef EDGE_BUCKET_FS_KEPT_H
#define EDGE_BUCKET_FS_KEPT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * What is known of a root: folders whose names are durable in their own, so
 * that only what is new costs a disk's turn, and whether its journal orders
 * all. Any thread may ask.
 */

#define FS_KEPT_MAX 256

struct fs_kept_folder {
    char *path; /* below the root; null: none */
    size_t len;
    bool used; /* asked for since it would have gone */
};

struct fs_kept {
    pthread_mutex_t lock;
    struct fs_kept_folder folders[FS_KEPT_MAX];
    size_t next; /* the one to go, unless it was used */
    bool judged; /* of that device */
    dev_t judged_device;
    bool ordered; /* as fs_journal_orders() says */
};

void fs_kept_init(struct fs_kept *kept);
void fs_kept_done(struct fs_kept *kept);

/** Whether the folder of that path is durable there. */
bool fs_kept_has(struct fs_kept *kept, const char *path, size_t len);

/** Without memory it is forgotten, and made durable once more. */
void fs_kept_add(struct fs_kept *kept, const char *path, size_t len);

/** It was made anew. */
void fs_kept_remove(struct fs_kept *kept, const char *path, size_t len);

/** fs_journal_orders() of the root, asked once for each device. */
bool fs_kept_is_ordered(struct fs_kept *kept, int root_fd);

#endif
