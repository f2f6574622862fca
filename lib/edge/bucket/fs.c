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

void fs_trouble_mount(const struct fs *fs, struct fs_trouble *trouble,
                      const char *key)
{
    assert(trouble->end == BUCKET_DONE);
    trouble->end = BUCKET_FAILED;
    snprintf(trouble->why, sizeof trouble->why,
             "another file system is mounted where %.80s goes: all below "
             "%.60s has to be on one",
             key, fs->root);
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

/** Of the path of its folder; 0: that is the root. */
static size_t folder_len(const char *key)
{
    const char *name = strrchr(key, '/');
    return name ? (size_t)(name - key) : 0;
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

bool fs_is_gone(int folder_fd)
{
    struct stat there;
    assert(folder_fd >= 0);
    return fstat(folder_fd, &there) == 0 ? there.st_nlink == 0
                                         : errno == ESTALE;
}

/** What a file without a name may meet: no such flag, no /proc, a sandbox. In
 * a folder that is gone any answer may come, and says nothing. */
static void look_at_refusal(struct fs *fs, int folder_fd, int code)
{
    if (!fs_is_gone(folder_fd) &&
        (is_unknown(code) || code == EISDIR || code == EACCES ||
         code == EXDEV || code == ELOOP || code == ENOENT)) {
        fs->nameless = false;
    }
}

int fs_open_nameless(struct fs *fs, int folder_fd)
{
    assert(folder_fd >= 0);
    const int fd =
        openat(folder_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) {
        const int code = errno;
        look_at_refusal(fs, folder_fd, code);
        errno = code;
    }
    return fd;
}

/** A link never replaces. By its descriptor alone a file is linked by who has
 * a capability; by /proc, by its owner. */
static bool publish_nameless(struct fs *fs, int fd, int folder_fd,
                             const char *name, const char *key,
                             struct fs_trouble *trouble)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, path, folder_fd, name, AT_SYMLINK_FOLLOW) == 0) {
        return true;
    }
    const int code = errno;
    if (code == EEXIST) {
        return fs_trouble_set(trouble, BUCKET_EXISTS, "replace", key, code);
    }
    look_at_refusal(fs, folder_fd, code);
    if (!fs->nameless) { /* the store is well: the next one has a name */
        return fs_trouble_set(trouble, BUCKET_FAILED, "name", key, code);
    }
    errno = code;
    return fs_trouble_here(trouble, "name", key);
}

bool fs_publish(struct fs *fs, const struct fs_temp *temp, int folder_fd,
                const char *name, const char *key, bool *moved,
                struct fs_trouble *trouble)
{
    assert(temp->fd >= 0 && folder_fd >= 0 && name[0]);
    if (!temp->name) {
        *moved = publish_nameless(fs, temp->fd, folder_fd, name, key, trouble);
        return *moved;
    }
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
    if (errno == EXDEV && trouble->end == BUCKET_DONE) {
        fs_trouble_mount(fs, trouble, key);
        return false;
    }
    return fs_trouble_here(trouble, "name", key);
}

/* What stays there: folders that are durable in their own */

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

bool fs_is_ordered(struct fs *fs, int root_fd, int folder_fd)
{
    struct stat root;
    struct stat folder;
    if (!fs_kept_is_ordered(&fs->kept, root_fd)) {
        return false;
    }
    return folder_fd < 0 ||
           (fstat(root_fd, &root) == 0 && fstat(folder_fd, &folder) == 0 &&
            root.st_dev == folder.st_dev);
}

/** Whether each folder of that path is known to stay. */
static bool are_kept(struct fs *fs, const char *path, size_t len)
{
    for (size_t at = 1; at <= len; at++) {
        if ((at == len || path[at] == '/') &&
            !fs_kept_has(&fs->kept, path, at)) {
            return false;
        }
    }
    return true;
}

/** A folder that is there, in one call, no link followed; -1: go by parts. */
static int open_at_once(int root_fd, const char *path, size_t len)
{
    char text[PATH_MAX] = "."; /* the root itself */
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    if (len >= sizeof text) {
        return -1;
    }
    if (len > 0) {
        memcpy(text, path, len);
        text[len] = '\0';
    }
    return (int)syscall(SYS_openat2, root_fd, text, &how, sizeof how);
}

/** One that was made is new, whatever was known of it. Durable at once where
 * that costs one disk's turn: it is open, and those above it are known. */
static void was_made(struct fs *fs, int root_fd, int above_fd, const char *path,
                     size_t above_len, size_t len, struct fs_trouble *trouble)
{
    fs_kept_remove(&fs->kept, path, len);
    if (!fs_is_ordered(fs, root_fd, above_fd) &&
        are_kept(fs, path, above_len) && keep(fs, above_fd, path, trouble)) {
        fs_kept_add(&fs->kept, path, len);
    }
}

/** A key's folder, in the one above it. */
struct above {
    size_t len;       /* of that one's path; of the key's: len + 1 + that of */
    char folder[256]; /* the name of its own */
    int fd;           /* of that one; -1: it can't be opened at once */
};

/** @param len  Of the path of the key's folder; 0: it is the root. */
static void open_above(int root_fd, const char *key, size_t len,
                       struct above *above)
{
    size_t at = len;
    while (at > 0 && key[at - 1] != '/') {
        at--;
    }
    assert(len - at < sizeof above->folder);
    memcpy(above->folder, key + at, len - at);
    above->folder[len - at] = '\0';
    above->len = at ? at - 1 : 0;
    above->fd = open_at_once(root_fd, key, above->len);
}

/** Mostly only the last folder of a key is new, if any: a request's own. -1: go
 * by parts, which also says what is wrong, unless that is known. */
static int enter_known(struct fs *fs, int root_fd, const char *key, bool *made,
                       char last[static 256], struct fs_trouble *trouble)
{
    const size_t len = folder_len(key);
    if (!len) {
        return -1;
    }
    assert(strlen(key + len + 1) < 256);
    strcpy(last, key + len + 1);
    int fd = open_at_once(root_fd, key, len);
    if (fd >= 0 || errno != ENOENT || !made) {
        return fd;
    }
    struct above above;
    open_above(root_fd, key, len, &above);
    if (above.fd < 0) {
        return -1;
    }
    *made = mkdirat(above.fd, above.folder, 0755) == 0;
    if (*made) {
        was_made(fs, root_fd, above.fd, key, above.len, len, trouble);
    } else if (errno != EEXIST) {
        fs_trouble_here(trouble, "make the folder", above.folder);
    }
    if (trouble->end == BUCKET_DONE) {
        fd = fs_open_below(above.fd, above.folder);
        if (fd < 0) {
            fs_trouble_here(trouble, "open the folder", above.folder);
        }
    }
    close(above.fd);
    return fd;
}

int fs_enter_key(struct fs *fs, int root_fd, const char *key, bool *made,
                 char last[static 256], struct fs_trouble *trouble)
{
    assert(root_fd >= 0);
    const char *at = key;
    int fd = enter_known(fs, root_fd, key, made, last, trouble);
    if (fd >= 0 || trouble->end != BUCKET_DONE) {
        return fd;
    }
    fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        fs_trouble_here(trouble, "open the folder of", key);
    }
    while (fd >= 0 && next_part(&at, last)) {
        int below =
            made ? fs_enter(fd, last, made, trouble) : fs_open_below(fd, last);
        int code = errno;
        if (made && *made) { /* somebody had removed the one we knew */
            fs_kept_remove(&fs->kept, key, (size_t)(at - key) - 1);
        }
        close(fd);
        errno = code;
        fd = below;
    }
    return fd;
}

void fs_leave_key(struct fs *fs, int root_fd, const char *key)
{
    const size_t len = folder_len(key);
    struct above above;
    open_above(root_fd, key, len, &above);
    if (above.fd >= 0) {
        if (unlinkat(above.fd, above.folder, AT_REMOVEDIR) == 0) {
            fs_kept_remove(&fs->kept, key, len);
        }
        close(above.fd);
    }
}

bool fs_keep_name(struct fs *fs, int root_fd, int folder_fd, const char *key,
                  struct fs_trouble *trouble)
{
    assert(root_fd >= 0);
    /* First: what is known may be of another disk, that was mounted there. */
    const bool ordered = fs_is_ordered(fs, root_fd, folder_fd);
    if (folder_fd >= 0 && (ordered || are_kept(fs, key, folder_len(key)))) {
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
        if (!fs_kept_has(&fs->kept, key, len)) {
            good = keep(fs, fd, key, trouble);
            if (good) {
                fs_kept_add(&fs->kept, key, len);
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
    if (!fs->closed || fs->sweeping || fs->expecting || fs->probes > 0) {
        return;
    }
    assert(fs->free_len == fs->buffers_len);
    for (size_t i = 0; i < fs->free_len; i++) {
        free(fs->free_buffers[i]);
    }
    free(fs->free_buffers);
    fs_kept_done(&fs->kept);
    free(fs->expected);
    free(fs->root);
    free(fs->name);
    free(fs);
}
