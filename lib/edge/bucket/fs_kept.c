#include "edge/bucket/fs_kept.h"

#include "edge/bucket/fs_journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void fs_kept_init(struct fs_kept *kept)
{
    *kept = (struct fs_kept){0};
    pthread_mutex_init(&kept->lock, NULL);
}

static void forget_all(struct fs_kept *kept)
{
    for (size_t i = 0; i < FS_KEPT_MAX; i++) {
        free(kept->folders[i].path);
        kept->folders[i] = (struct fs_kept_folder){0};
    }
}

void fs_kept_done(struct fs_kept *kept)
{
    forget_all(kept);
    pthread_mutex_destroy(&kept->lock);
}

/** Null: it is not there. */
static struct fs_kept_folder *find(struct fs_kept *kept, const char *path,
                                   size_t len)
{
    assert(len > 0);
    for (size_t i = 0; i < FS_KEPT_MAX; i++) {
        struct fs_kept_folder *folder = &kept->folders[i];
        if (folder->path && folder->len == len &&
            memcmp(folder->path, path, len) == 0) {
            return folder;
        }
    }
    return NULL;
}

bool fs_kept_has(struct fs_kept *kept, const char *path, size_t len)
{
    pthread_mutex_lock(&kept->lock);
    struct fs_kept_folder *folder = find(kept, path, len);
    if (folder) {
        folder->used = true;
    }
    pthread_mutex_unlock(&kept->lock);
    return folder != NULL;
}

/** Each request brings a folder that nobody asks for again; those above it are
 * asked for by all, and stay. */
static struct fs_kept_folder *oldest(struct fs_kept *kept)
{
    struct fs_kept_folder *folder = &kept->folders[kept->next];
    while (folder->used) {
        folder->used = false;
        kept->next = (kept->next + 1) % FS_KEPT_MAX;
        folder = &kept->folders[kept->next];
    }
    kept->next = (kept->next + 1) % FS_KEPT_MAX;
    return folder;
}

void fs_kept_add(struct fs_kept *kept, const char *path, size_t len)
{
    char *copy = strndup(path, len);
    pthread_mutex_lock(&kept->lock);
    if (copy && !find(kept, path, len)) {
        struct fs_kept_folder *folder = oldest(kept);
        free(folder->path);
        *folder = (struct fs_kept_folder){.path = copy, .len = len};
        copy = NULL;
    }
    pthread_mutex_unlock(&kept->lock);
    free(copy);
}

void fs_kept_remove(struct fs_kept *kept, const char *path, size_t len)
{
    pthread_mutex_lock(&kept->lock);
    struct fs_kept_folder *folder = find(kept, path, len);
    if (folder) {
        free(folder->path);
        *folder = (struct fs_kept_folder){0};
    }
    pthread_mutex_unlock(&kept->lock);
}

bool fs_kept_is_ordered(struct fs_kept *kept, int root_fd)
{
    struct stat root;
    if (fstat(root_fd, &root) != 0) {
        return false;
    }
    pthread_mutex_lock(&kept->lock);
    const bool known = kept->judged && kept->judged_device == root.st_dev;
    bool ordered = kept->ordered;
    pthread_mutex_unlock(&kept->lock);
    if (!known) {
        ordered = fs_journal_orders(root_fd);
        pthread_mutex_lock(&kept->lock);
        forget_all(kept); /* it was mounted meanwhile: other folders */
        kept->judged = true;
        kept->judged_device = root.st_dev;
        kept->ordered = ordered;
        pthread_mutex_unlock(&kept->lock);
    }
    return ordered;
}
