#include "edge/bucket/fs.h"

#include "edge/bucket/fs_journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Faults */

/** Faults of the store and not of this one object. */
static bool is_unusable(int code)
{
    static const int codes[] = {ENOSPC, EDQUOT, EROFS,  EACCES, EPERM,
                                EIO,    ESTALE, ENODEV, ENXIO};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

bool fs_trouble_set(struct fs_trouble *trouble, enum bucket_end end,
                    const char *what, const char *path, int code)
{
    assert(end != BUCKET_DONE);
    if (trouble->end == BUCKET_DONE) {
        trouble->end = end;
        snprintf(trouble->why, sizeof trouble->why, "can't %s %.150s: %s", what,
                 path, strerror(code));
    }
    return false;
}

bool fs_trouble_here(struct fs_trouble *trouble, const char *what,
                     const char *path)
{
    int code = errno;
    return fs_trouble_set(trouble,
                          is_unusable(code) ? BUCKET_UNUSABLE : BUCKET_FAILED,
                          what, path, code);
}

/* Folders; on working threads */

int fs_open_root(const struct fs *fs, struct fs_trouble *trouble)
{
    assert(fs->root[0] == '/');
    int fd = open(fs->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) { /* a mount that is away: made by no one but its owner */
        fs_trouble_set(trouble, BUCKET_UNUSABLE, "open the folder", fs->root,
                       errno);
    }
    return fd;
}

int fs_open_below(int folder_fd, const char *name)
{
    assert(folder_fd >= 0);
    return openat(folder_fd, name,
                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int fs_enter(int folder_fd, const char *name, bool *made,
             struct fs_trouble *trouble)
{
    assert(folder_fd >= 0 && name[0]);
    assert(folder_fd >= 0 && name[0]);
    int fd = fs_open_below(folder_fd, name);
    *made = false;
    if (fd < 0 && errno == ENOENT) {
        *made = mkdirat(folder_fd, name, 0755) == 0;
        if (!*made && errno != EEXIST) {
            fs_trouble_here(trouble, "make the folder", name);
            return -1;
        }
        fd = fs_open_below(folder_fd, name);
    }
    if (fd < 0) {
        fs_trouble_here(trouble, "open the folder", name);
    }
    return fd;
}

/** Takes the first part off a key; false for the last one. */
static bool next_part(const char **key, char part[static 256])
{
    const char *slash = strchr(*key, '/');
    size_t len = slash ? (size_t)(slash - *key) : strlen(*key);
    assert(len < 256);
    memcpy(part, *key, len);
    part[len] = '\0';
    *key += slash ? len + 1 : len;
    return slash != NULL;
}

/* Publishing; on working threads */

/** Whether the file under that name is the one we have open. */
static bool is_ours(int fd, int folder_fd, const char *name)
{
    assert(fd >= 0 && folder_fd >= 0);
    struct stat ours;
    struct stat there;
    return fstat(fd, &ours) == 0 &&
           fstatat(folder_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/** That the file system can't, not that it may not this time. */
static bool is_unknown(int code)
{
    return code == EINVAL || code == ENOSYS || code == EOPNOTSUPP ||
           code == EPERM || code == ENOTTY;
}

bool fs_publish(const struct fs_temp *temp, int folder_fd, const char *name,
                const char *key, bool *moved, struct fs_trouble *trouble)
{
    assert(temp->fd >= 0 && folder_fd >= 0 && name[0]);
    assert(temp->folder_fd >= 0 && folder_fd >= 0 && name[0]);
    *moved = renameat2(temp->folder_fd, temp->name, folder_fd, name,
                       RENAME_NOREPLACE) == 0;
    if (*moved) {
        return true;
    }
    int renamed = errno;
    if (is_unknown(renamed)) {
        /* NFS, for one: a link doesn't replace either. Its answer to a
         * repeated call may say EEXIST of what we have just made. */
        if (linkat(temp->folder_fd, temp->name, folder_fd, name, 0) == 0 ||
            (errno == EEXIST && is_ours(temp->fd, folder_fd, name))) {
            return true;
        }
        if (is_unknown(errno) && trouble->end == BUCKET_DONE) {
            trouble->end = BUCKET_UNUSABLE;
            snprintf(trouble->why, sizeof trouble->why,
                     "the file system can give a file a name in no way that "
                     "never replaces another (renameat2: %.60s; link: %.60s)",
                     strerror(renamed), strerror(errno));
            return false;
        }
    }
    if (errno == EEXIST) {
        return fs_trouble_set(trouble, BUCKET_EXISTS, "replace", key, EEXIST);
    }
    return fs_trouble_here(trouble, "name", key);
}

/* What stays there: folders that are durable in their own */

/** The place of a path; FS_DURABLE_MAX: it has none. */
static size_t kept_at(const struct fs *fs, const char *path, size_t len)
{
    assert(len > 0);
    size_t i = 0;
    while (i < FS_DURABLE_MAX &&
           !(fs->durable[i] && strncmp(fs->durable[i], path, len) == 0 &&
             fs->durable[i][len] == '\0')) {
        i++;
    }
    return i;
}

static bool is_kept(struct fs *fs, const char *path, size_t len)
{
    pthread_mutex_lock(&fs->durable_lock);
    bool found = kept_at(fs, path, len) < FS_DURABLE_MAX;
    pthread_mutex_unlock(&fs->durable_lock);
    return found;
}

static void forget_kept(struct fs *fs, const char *path, size_t len)
{
    pthread_mutex_lock(&fs->durable_lock);
    size_t at = kept_at(fs, path, len);
    if (at < FS_DURABLE_MAX) {
        free(fs->durable[at]);
        fs->durable[at] = NULL;
    }
    pthread_mutex_unlock(&fs->durable_lock);
}

static void remember_kept(struct fs *fs, const char *path, size_t len)
{
    char *copy = strndup(path, len);
    pthread_mutex_lock(&fs->durable_lock);
    if (copy) { /* else it is made durable once more */
        free(fs->durable[fs->durable_next]);
        fs->durable[fs->durable_next] = copy;
        fs->durable_next = (fs->durable_next + 1) % FS_DURABLE_MAX;
    }
    pthread_mutex_unlock(&fs->durable_lock);
}

/** A folder that is there, in one call, no link followed; -1: go by parts. */
static int open_at_once(int root_fd, const char *path, size_t len)
{
    char text[PATH_MAX];
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    if (len == 0 || len >= sizeof text) {
        return -1;
    }
    memcpy(text, path, len);
    text[len] = '\0';
    return (int)syscall(SYS_openat2, root_fd, text, &how, sizeof how);
}

/** Mostly only the last folder of a key is new, if any: a request's own. -1: go
 * by parts, which also says what is wrong. */
static int enter_known(struct fs *fs, int root_fd, const char *key, bool make,
                       char last[static 256])
{
    const char *name = strrchr(key, '/');
    if (!name) {
        return -1;
    }
    const size_t len = (size_t)(name - key);
    assert(strlen(name + 1) < 256);
    strcpy(last, name + 1);
    int fd = open_at_once(root_fd, key, len);
    if (fd >= 0 || errno != ENOENT || !make) {
        return fd;
    }
    size_t above = len;
    while (above > 0 && key[above - 1] != '/') {
        above--;
    }
    const int above_fd = above ? open_at_once(root_fd, key, above - 1) : -1;
    if (above_fd < 0) {
        return -1;
    }
    char folder[256];
    bool made = false;
    struct fs_trouble trouble = {.end = BUCKET_DONE};
    assert(len - above < sizeof folder);
    memcpy(folder, key + above, len - above);
    folder[len - above] = '\0';
    fd = fs_enter(above_fd, folder, &made, &trouble);
    if (made) {
        forget_kept(fs, key, len);
    }
    close(above_fd);
    return fd;
}

int fs_enter_key(struct fs *fs, int root_fd, const char *key, bool make,
                 char last[static 256], struct fs_trouble *trouble)
{
    assert(root_fd >= 0);
    const char *at = key;
    int fd = enter_known(fs, root_fd, key, make, last);
    if (fd >= 0) {
        return fd;
    }
    fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        fs_trouble_here(trouble, "open the folder of", key);
    }
    while (fd >= 0 && next_part(&at, last)) {
        bool made = false;
        int below =
            make ? fs_enter(fd, last, &made, trouble) : fs_open_below(fd, last);
        int code = errno;
        if (made) { /* somebody had removed the one we knew */
            forget_kept(fs, key, (size_t)(at - key) - 1);
        }
        close(fd);
        errno = code;
        fd = below;
    }
    return fd;
}

bool fs_keep_folder(struct fs *fs, int folder_fd)
{
    assert(folder_fd >= 0);
    if (fsync(folder_fd) == 0) {
        return true;
    }
    /* Some file systems know no fsync() of folders (CIFS, much of FUSE): a name
     * is as durable there as they make it. The probe says so. */
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        fs->forgetful = true;
        return true;
    }
    return false;
}

/**
 * A failure is never tried again: the kernel may have dropped what it could
 * not write, and would report success.
 */
static bool keep(struct fs *fs, int folder_fd, const char *key,
                 struct fs_trouble *trouble)
{
    return fs_keep_folder(fs, folder_fd) ||
           fs_trouble_here(trouble, "make durable the name of", key);
}

bool fs_is_ordered(struct fs *fs, int root_fd)
{
    struct stat root;
    if (fstat(root_fd, &root) != 0) {
        return false;
    }
    pthread_mutex_lock(&fs->durable_lock);
    const bool known = fs->judged && fs->judged_device == root.st_dev;
    bool ordered = fs->ordered;
    pthread_mutex_unlock(&fs->durable_lock);
    if (!known) {
        ordered = fs_journal_orders(root_fd);
        pthread_mutex_lock(&fs->durable_lock);
        fs->judged = true;
        fs->judged_device = root.st_dev;
        fs->ordered = ordered;
        pthread_mutex_unlock(&fs->durable_lock);
    }
    return ordered;
}

static bool are_all_kept(struct fs *fs, const char *key)
{
    char part[256];
    const char *at = key;
    while (next_part(&at, part)) {
        if (!is_kept(fs, key, (size_t)(at - key) - 1)) {
            return false;
        }
    }
    return true;
}

bool fs_keep_name(struct fs *fs, int root_fd, int folder_fd, const char *key,
                  struct fs_trouble *trouble)
{
    assert(root_fd >= 0);
    if (folder_fd >= 0 &&
        (fs_is_ordered(fs, root_fd) || are_all_kept(fs, key))) {
        return keep(fs, folder_fd, key, trouble);
    }
    char part[256];
    const char *at = key;
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    bool good = fd >= 0 || fs_trouble_here(trouble, "open the folder of", key);
    /* From above: where one journal holds all, as it mostly is, that of the
     * folder which others write to as well takes the rest along. */
    while (good && next_part(&at, part)) {
        size_t len = (size_t)(at - key) - 1;
        if (!is_kept(fs, key, len)) {
            good = keep(fs, fd, key, trouble);
            if (good) {
                remember_kept(fs, key, len);
            }
        }
        int below = good ? fs_open_below(fd, part) : -1;
        if (good && below < 0) {
            good = fs_trouble_here(trouble, "open the folder of", key);
        }
        close(fd);
        fd = below;
    }
    good = good && keep(fs, fd, key, trouble);
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* Life */

void fs_free_if_over(struct fs *fs)
{
    if (!fs->closed || fs->sweeping || fs->probes > 0) {
        return;
    }
    assert(fs->free_len == fs->buffers_len);
    for (size_t i = 0; i < fs->free_len; i++) {
        free(fs->free_buffers[i]);
    }
    free(fs->free_buffers);
    for (size_t i = 0; i < FS_DURABLE_MAX; i++) {
        free(fs->durable[i]);
    }
    pthread_mutex_destroy(&fs->durable_lock);
    free(fs->root);
    free(fs->name);
    free(fs);
}
