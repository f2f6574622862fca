#ifndef EDGE_BUCKET_FS_H
#define EDGE_BUCKET_FS_H

#include "edge/bucket/fs_kept.h"
#include "edge/bucket/kind.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * Videos in a folder that all workers share. Bytes go to a file of our own
 * under <root>/.incoming, or, where the journal orders all, to one that has no
 * name yet; are made durable there; and appear under their name in one step
 * that never replaces anything.
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
    struct fs_kept kept;
    uint32_t count;        /* makes temporary names unique in this process */
    atomic_bool forgetful; /* folders can't be made durable there */
    atomic_bool nameless;  /* a file needs no name there: a probe has seen it */
    int64_t expected_ms;   /* boot clock: when one was expected last */
    char *expected;  /* a key whose folder is or was made for it; null: none */
    int64_t made_ms; /* boot clock: when that was */
    bool expecting;  /* one is being made */
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

/** The key's folder is no part of the root's file system: of no fault so far.
 */
void fs_trouble_mount(const struct fs *fs, struct fs_trouble *trouble,
                      const char *key);

/** A file of ours that nobody else knows. */
struct fs_temp {
    int folder_fd;
    int fd;
    const char *name; /* in that folder; null: it has none */
};

/** A file without a name, in the folder where it will have one: whoever dies
 * leaves nothing. -1 with errno; where it needs a name, the next one has it. */
int fs_open_nameless(struct fs *fs, int folder_fd);

/**
 * Make it appear under a name unless something is there: BUCKET_EXISTS.
 *
 * @param key    For words.
 * @param moved  The first name is gone with it.
 */
bool fs_publish(struct fs *fs, const struct fs_temp *temp, int folder_fd,
                const char *name, const char *key, bool *moved,
                struct fs_trouble *trouble);

/** Whether the root's journal orders what is done in that folder of it, too:
 * another disk may be mounted there. -1: of the root alone. */
bool fs_is_ordered(struct fs *fs, int root_fd, int folder_fd);

/** Somebody has removed the folder. */
bool fs_is_gone(int folder_fd);

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
 * @param made  Make what is missing; says whether that folder was. Null: a
 *              missing one is -1 with errno only.
 * @param last  The last part.
 */
int fs_enter_key(struct fs *fs, int root_fd, const char *key, bool *made,
                 char last[static 256], struct fs_trouble *trouble);

/** One that was made for nothing goes, if it is empty. */
void fs_leave_key(struct fs *fs, int root_fd, const char *key);

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
