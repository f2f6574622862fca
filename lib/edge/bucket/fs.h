#ifndef EDGE_BUCKET_FS_H
#define EDGE_BUCKET_FS_H

#include "edge/bucket/kind.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * Videos in a folder that all workers share. Bytes go to a file of our own
 * under <root>/.incoming, are made durable there, and appear under their name
 * in one step that never replaces anything.
 *
 * The loop thread copies bytes into buffers, everything else is done on other
 * threads: one step of one put at a time. For bucket_fs*.c only.
 */

#define FS_BUFFER_BYTES ((size_t)1 << 20)
#define FS_ALIGN ((size_t)4096) /* of buffers and their lengths */
/* of all buffers, if that will do */
#define FS_MEMORY_BYTES ((size_t)64 << 20)
#define FS_INCOMING ".incoming"
#define FS_PROBES ".probes"
#define FS_DURABLE_MAX 256

struct fs {
    struct bucket base;
    struct loop *loop;
    char *root; /* absolute, without a slash at its end */
    char *name; /* as a URL */
    int64_t bytes_max;
    char **free_buffers; /* a stack */
    size_t free_len;
    size_t buffers_len;
    size_t buffer_bytes; /* of each one */
    pthread_mutex_t durable_lock;
    char *durable[FS_DURABLE_MAX]; /* folders that stay there; null: no more */
    size_t durable_next;           /* the oldest */
    bool judged;                   /* of that device; under durable_lock */
    dev_t judged_device;
    bool ordered;          /* as fs_journal_orders() says */
    uint32_t count;        /* makes temporary names unique in this process */
    atomic_bool forgetful; /* folders can't be made durable there */
    bool sweeping;
    int probes; /* under way */
    bool closed;
};

/** What went wrong; set on a working thread, read between its steps. */
struct fs_trouble {
    enum bucket_end end; /* BUCKET_DONE: nothing */
    char why[256];
};

/** The first trouble stays. Returns false. */
bool fs_trouble_set(struct fs_trouble *trouble, enum bucket_end end,
                    const char *what, const char *path, int code);

/** The same with errno, which decides whether the store itself is at fault. */
bool fs_trouble_here(struct fs_trouble *trouble, const char *what,
                     const char *path);

/** A file of ours that nobody else knows. */
struct fs_temp {
    int folder_fd;
    int fd;
    const char *name;
};

/**
 * Make it appear under a name unless something is there: BUCKET_EXISTS.
 *
 * @param key    For words.
 * @param moved  The first name is gone with it.
 */
bool fs_publish(const struct fs_temp *temp, int folder_fd, const char *name,
                const char *key, bool *moved, struct fs_trouble *trouble);

/** fs_journal_orders() of the root, asked once for each device. */
bool fs_is_ordered(struct fs *fs, int root_fd);

/** fsync() of a folder; true too where the file system knows no such thing. */
bool fs_keep_folder(struct fs *fs, int folder_fd);

/* Folders, on working threads: a descriptor, or -1 with the trouble set. */

int fs_open_root(const struct fs *fs, struct fs_trouble *trouble);

/** A folder in a folder, no link followed; -1 with errno. */
int fs_open_below(int folder_fd, const char *name);

/** The same, made if it wasn't there: durable only by fs_keep_name(). */
int fs_enter(int folder_fd, const char *name, bool *made,
             struct fs_trouble *trouble);

/**
 * The folder that a key's last part is in.
 *
 * @param make  Make what is missing; else a missing one is -1 with errno only.
 * @param last  The last part.
 */
int fs_enter_key(struct fs *fs, int root_fd, const char *key, bool make,
                 char last[static 256], struct fs_trouble *trouble);

/**
 * Make durable that a key's file is in its folder, that folder in its own, and
 * so on. A folder that we did so for before is not done again: only what is
 * new costs a disk's turn. Where the journal orders all, the last folder is
 * enough.
 *
 * @param folder_fd The folder that the file is in; -1: to be opened.
 */
bool fs_keep_name(struct fs *fs, int root_fd, int folder_fd, const char *key,
                  struct fs_trouble *trouble);

/** After fs_close(): frees, once nothing runs any more. */
void fs_free_if_over(struct fs *fs);

#endif
