#include "edge/bucket/fs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES_MIN ((size_t)128 << 10)
#define SWEEP_MAX 1000

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

/* Publishing; on working threads */

/** Whether the file under that name is the one we have open. */
static bool is_ours(int fd, int folder_fd, const char *name)
{
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

int fs_enter_key(struct fs *fs, int root_fd, const char *key, bool make,
                 char last[static 256], struct fs_trouble *trouble)
{
    assert(root_fd >= 0);
    const char *at = key;
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
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
    if (folder_fd >= 0 && are_all_kept(fs, key)) {
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

/* Sweep */

struct fs_sweep {
    struct fs *fs;
    int64_t older_than_ms;
    char name[64]; /* of a file that shows what time it is there */
};

/** "pid-count-random.part" or ".probe.part": the only names that we give. */
static bool is_temp(const char *name)
{
    static const char digits[] = "0123456789";
    static const char hex[] = "0123456789abcdef";
    size_t pid = strspn(name, digits);
    if (pid == 0 || name[pid] != '-') {
        return false;
    }
    name += pid + 1;
    size_t count = strspn(name, digits);
    if (count == 0 || name[count] != '-') {
        return false;
    }
    name += count + 1;
    size_t random = strspn(name, hex);
    return random >= 8 && (strcmp(name + random, ".part") == 0 ||
                           strcmp(name + random, ".probe.part") == 0);
}

/**
 * What time it is by the clock that stamps the files in there. It may be
 * another machine's, as those are who write them: by our own, the files of all
 * others could look hours old.
 *
 * @return  Seconds; -1: the folder takes no file, not even its own new time.
 */
static int64_t folder_now_s(int folder_fd, const char *name)
{
    struct stat there;
    int fd =
        openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool known = false;
    if (fd >= 0) {
        /* Written, and on its way: only then has the server set the time. */
        known =
            write(fd, "", 1) == 1 && fsync(fd) == 0 && fstat(fd, &there) == 0;
        unlinkat(folder_fd, name, 0);
        close(fd);
    }
    known = known ||
            (futimens(folder_fd, NULL) == 0 && fstat(folder_fd, &there) == 0);
    return known ? (int64_t)there.st_mtime : -1;
}

static void sweep_folder(DIR *folder, int64_t before_s)
{
    int swept = 0;
    struct dirent *entry;
    while (swept < SWEEP_MAX && (entry = readdir(folder))) {
        struct stat there;
        if (!is_temp(entry->d_name) ||
            fstatat(dirfd(folder), entry->d_name, &there,
                    AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(there.st_mode) || there.st_mtime >= before_s) {
            continue;
        }
        unlinkat(dirfd(folder), entry->d_name, 0);
        swept++;
    }
}

static void sweep_below(int root_fd, const char *name,
                        const struct fs_sweep *sweep)
{
    int fd = fs_open_below(root_fd, name);
    const int64_t now_s = fd < 0 ? -1 : folder_now_s(fd, sweep->name);
    DIR *folder = now_s < 0 ? NULL : fdopendir(fd);
    if (folder) {
        sweep_folder(folder, now_s - sweep->older_than_ms / 1000);
        closedir(folder);
    } else if (fd >= 0) {
        close(fd);
    }
}

static void sweep_work(void *context)
{
    struct fs_sweep *sweep = context;
    struct fs_trouble trouble = {.end = BUCKET_DONE};
    int root_fd = fs_open_root(sweep->fs, &trouble);
    if (root_fd < 0) {
        return;
    }
    /* A writer's file is as old as its last MiB. */
    sweep_below(root_fd, FS_INCOMING, sweep);
    sweep_below(root_fd, FS_PROBES, sweep);
    close(root_fd);
}

static void on_swept(void *context)
{
    struct fs_sweep *sweep = context;
    struct fs *fs = sweep->fs;
    free(sweep);
    fs->sweeping = false;
    fs_free_if_over(fs);
}

static void fs_sweep(struct bucket *base, const char *key_template,
                     int64_t older_than_ms)
{
    (void)key_template; /* what is unfinished lies in a folder of our own */
    struct fs *fs = (struct fs *)(void *)base;
    struct fs_sweep *sweep = fs->sweeping ? NULL : malloc(sizeof *sweep);
    if (!sweep) {
        return; /* one is under way, or the next one will do */
    }
    *sweep = (struct fs_sweep){.fs = fs, .older_than_ms = older_than_ms};
    snprintf(sweep->name, sizeof sweep->name, "%d-0-%08x%08x.probe.part",
             (int)getpid(), loop_random(fs->loop), loop_random(fs->loop));
    fs->sweeping = true;
    loop_work(fs->loop, sweep_work, on_swept, sweep);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/** The path of file:///path, %XX decoded, without slashes at its end. */
static char *root_of(struct str url)
{
    struct str path = {url.at + strlen("file://"), url.len - strlen("file://")};
    char *root = malloc(path.len + 1);
    size_t len = 0;
    for (size_t i = 0; root && i < path.len; i++) {
        char c = path.at[i];
        if (c == '%' && i + 2 < path.len && hex_digit(path.at[i + 1]) >= 0 &&
            hex_digit(path.at[i + 2]) >= 0) {
            c = (char)(hex_digit(path.at[i + 1]) * 16 +
                       hex_digit(path.at[i + 2]));
            i += 2;
        }
        root[len++] = c;
    }
    while (len > 1 && root[len - 1] == '/') {
        len--;
    }
    if (root) {
        root[len] = '\0';
    }
    return root;
}

/** Two for each put; smaller ones where that makes them many. */
static bool buffers_new(struct fs *fs, int puts_max)
{
    fs->buffers_len = 2 * (size_t)puts_max;
    size_t bytes = FS_MEMORY_BYTES / fs->buffers_len / FS_ALIGN * FS_ALIGN;
    bytes = bytes < FS_BUFFER_BYTES ? bytes : FS_BUFFER_BYTES;
    fs->buffer_bytes = bytes > BUFFER_BYTES_MIN ? bytes : BUFFER_BYTES_MIN;
    fs->free_buffers = calloc(fs->buffers_len, sizeof *fs->free_buffers);
    while (fs->free_buffers && fs->free_len < fs->buffers_len) {
        void *buffer;
        if (posix_memalign(&buffer, FS_ALIGN, fs->buffer_bytes) != 0) {
            return false;
        }
        fs->free_buffers[fs->free_len++] = buffer;
    }
    return fs->free_buffers != NULL;
}

static void fs_close(struct bucket *base)
{
    struct fs *fs = (struct fs *)(void *)base;
    fs->closed = true;
    fs_free_if_over(fs);
}

static struct bucket *fs_open(struct loop *loop, struct str url, int puts_max,
                              int64_t bytes_max, struct err *err)
{
    struct fs *fs = calloc(1, sizeof *fs);
    if (!fs) {
        err_set(err, ERR_TRANSIENT, "no memory for the store");
        return NULL;
    }
    *fs = (struct fs){
        .base = {&bucket_fs_kind, loop}, .loop = loop, .bytes_max = bytes_max};
    pthread_mutex_init(&fs->durable_lock, NULL);
    fs->root = root_of(url);
    size_t name_bytes = 3 * url.len + 1;
    fs->name = malloc(name_bytes);
    bool memory = fs->root && fs->name && buffers_new(fs, puts_max);
    if (!memory || fs->root[0] != '/') {
        err_set(err, memory ? ERR_PERMANENT : ERR_TRANSIENT,
                memory ? "STORAGE_URL names no absolute folder"
                       : "no memory for the store");
        fs->buffers_len = fs->free_len;
        fs_close(&fs->base);
        return NULL;
    }
    size_t len = (size_t)snprintf(fs->name, name_bytes, "file://");
    bucket_encode(str_of(fs->root), true, fs->name + len, name_bytes - len);
    return &fs->base;
}

static void fs_uri(const struct bucket *base, struct str key, char *out,
                   size_t out_bytes)
{
    const struct fs *fs = (const struct fs *)(const void *)base;
    size_t len = (size_t)snprintf(out, out_bytes, "%s/",
                                  fs->root[1] ? fs->name : "file://");
    if (len < out_bytes) {
        bucket_encode(key, true, out + len, out_bytes - len);
    }
}

static const char *fs_name(const struct bucket *base)
{
    return ((const struct fs *)(const void *)base)->name;
}

const struct bucket_kind bucket_fs_kind = {
    .scheme = "file://",
    .open = fs_open,
    .uri = fs_uri,
    .name = fs_name,
    .put = fs_put,
    .write = fs_write,
    .finish = fs_finish,
    .cancel = fs_cancel,
    .check = fs_check,
    .probe = fs_probe,
    .sweep = fs_sweep,
    .close = fs_close,
};
