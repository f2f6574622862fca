#include "edge/bucket_fs.h"

#include "base/must.h"
#include "core/digest.h"
#include "core/video.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FREE_BYTES_MIN ((uint64_t)64 << 20)
#define CHECK_STEP_BYTES ((size_t)32 << 20) /* others want the threads too */

/* Check */

struct fs_check {
    struct fs *fs;
    bucket_fn *on_result;
    void *context;
    char *key;
    int fd; /* -1: not opened yet */
    struct digest *digest;
    struct video_check video;
    bool over;
    int64_t bytes;
    struct fs_trouble trouble;
};

static void check_open(struct fs_check *check)
{
    int root_fd = fs_open_root(check->fs, &check->trouble);
    if (root_fd < 0) {
        return;
    }
    char last[256];
    int folder_fd = fs_enter_key(check->fs, root_fd, check->key, false, last,
                                 &check->trouble);
    int code = errno;
    close(root_fd);
    if (folder_fd >= 0) {
        check->fd = openat(folder_fd, last,
                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        code = errno;
        close(folder_fd);
    }
    struct stat there;
    if (check->fd < 0) {
        errno = code;
        if (code == ENOENT) {
            fs_trouble_set(&check->trouble, BUCKET_MISSING, "open", check->key,
                           code);
            return;
        }
        fs_trouble_here(&check->trouble, "open", check->key);
    } else if (fstat(check->fd, &there) != 0 || !S_ISREG(there.st_mode)) {
        fs_trouble_set(&check->trouble, BUCKET_FAILED, "read", check->key,
                       EISDIR);
    } else {
        (void)posix_fadvise(check->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
}

static void check_read(struct fs_check *check)
{
    char *bytes = malloc(FS_BUFFER_BYTES);
    if (!bytes) {
        fs_trouble_set(&check->trouble, BUCKET_FAILED, "read", check->key,
                       ENOMEM);
        return;
    }
    for (size_t done = 0; done < CHECK_STEP_BYTES;) {
        ssize_t n = read(check->fd, bytes, FS_BUFFER_BYTES);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            fs_trouble_here(&check->trouble, "read", check->key);
            break;
        }
        if (n == 0) {
            check->over = true;
            break;
        }
        digest_add(check->digest, bytes, (size_t)n);
        video_check_add(&check->video, bytes, (size_t)n);
        check->bytes += n;
        done += (size_t)n;
    }
    free(bytes);
}

/** Whoever put it there may have died before it was durable. */
static void check_keep(struct fs_check *check)
{
    int root_fd = fs_open_root(check->fs, &check->trouble);
    if (root_fd < 0) {
        return;
    }
    if (fdatasync(check->fd) != 0) {
        fs_trouble_here(&check->trouble, "make durable", check->key);
    } else {
        fs_keep_name(check->fs, root_fd, check->key, &check->trouble);
    }
    close(root_fd);
}

static void check_work(void *context)
{
    struct fs_check *check = context;
    if (check->fd < 0) {
        check_open(check);
    }
    if (check->trouble.end == BUCKET_DONE) {
        check_read(check);
    }
    if (check->over && check->trouble.end == BUCKET_DONE) {
        check_keep(check);
    }
    if ((check->over || check->trouble.end != BUCKET_DONE) && check->fd >= 0) {
        close(check->fd);
    }
}

static void on_checked(void *context)
{
    struct fs_check *check = context;
    if (!check->over && check->trouble.end == BUCKET_DONE) {
        loop_work(check->fs->loop, check_work, on_checked, check);
        return;
    }
    struct bucket_result result = {.end = check->trouble.end};
    snprintf(result.why, sizeof result.why, "%s", check->trouble.why);
    if (result.end == BUCKET_DONE) {
        unsigned char sum[DIGEST_BYTES];
        digest_end(check->digest, sum);
        str_hex(sum, sizeof sum, result.sha256);
        result.bytes = check->bytes;
        result.fault = video_check_end(&check->video);
    }
    bucket_fn *on_result = check->on_result;
    void *result_context = check->context;
    digest_free(check->digest);
    free(check->key);
    must_free(check);
    on_result(result_context, &result);
}

void fs_check(struct bucket *base, struct str key, bucket_fn *on_result,
              void *context)
{
    struct fs *fs = (struct fs *)(void *)base;
    struct fs_check *check = MUST_NEW(struct fs_check);
    *check = (struct fs_check){.fs = fs,
                               .on_result = on_result,
                               .context = context,
                               .key = strndup(key.at, key.len),
                               .digest = digest_new(),
                               .fd = -1};
    video_check_init(&check->video);
    if (!check->key || !check->digest) {
        fs_trouble_set(&check->trouble, BUCKET_FAILED, "read", "a file",
                       ENOMEM);
    }
    loop_work(fs->loop, check_work, on_checked, check);
}

/* Probe */

struct fs_probe {
    struct fs *fs;
    bucket_fn *on_result;
    void *context;
    char temp[64];
    struct fs_trouble trouble;
};

static void probe_write(struct fs_probe *probe, int folder_fd)
{
    static const char page[4096] = "pixverse-worker tries whether it may write";
    int fd = openat(folder_fd, probe->temp,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        fs_trouble_here(&probe->trouble, "make a file in", probe->fs->root);
        return;
    }
    ssize_t n = write(fd, page, sizeof page);
    if (n != (ssize_t)sizeof page) {
        errno = n < 0 ? errno : ENOSPC;
        fs_trouble_here(&probe->trouble, "write to", probe->fs->root);
    } else if (fsync(fd) != 0) {
        fs_trouble_here(&probe->trouble, "make durable a file in",
                        probe->fs->root);
    }
    close(fd);
    unlinkat(folder_fd, probe->temp, 0);
}

bool fs_has_room(const struct fs *fs, int folder_fd, char why[static 256])
{
    struct statvfs room;
    if (fstatvfs(folder_fd, &room) != 0 || room.f_blocks == 0) {
        return true; /* as far as one can see */
    }
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    if (free_bytes >= FREE_BYTES_MIN) {
        return true;
    }
    snprintf(why, 256, "%.150s has %llu MiB free, needed: %llu", fs->root,
             (unsigned long long)(free_bytes >> 20),
             (unsigned long long)(FREE_BYTES_MIN >> 20));
    return false;
}

static void probe_work(void *context)
{
    struct fs_probe *probe = context;
    int root_fd = fs_open_root(probe->fs, &probe->trouble);
    if (root_fd < 0) {
        return;
    }
    bool made;
    int incoming_fd = fs_enter(root_fd, FS_INCOMING, &made, &probe->trouble);
    close(root_fd);
    if (incoming_fd < 0) {
        return;
    }
    probe_write(probe, incoming_fd);
    if (probe->trouble.end == BUCKET_DONE &&
        !fs_has_room(probe->fs, incoming_fd, probe->trouble.why)) {
        probe->trouble.end = BUCKET_UNUSABLE;
    }
    close(incoming_fd);
}

static void on_probed(void *context)
{
    struct fs_probe *probe = context;
    struct bucket_result result = {.end = probe->trouble.end};
    if (result.end == BUCKET_FAILED) {
        result.end = BUCKET_UNUSABLE; /* where that fails, so does all */
    }
    snprintf(result.why, sizeof result.why, "%s", probe->trouble.why);
    bucket_fn *on_result = probe->on_result;
    void *result_context = probe->context;
    must_free(probe);
    on_result(result_context, &result);
}

void fs_probe(struct bucket *base, bucket_fn *on_result, void *context)
{
    struct fs *fs = (struct fs *)(void *)base;
    struct fs_probe *probe = MUST_NEW(struct fs_probe);
    *probe =
        (struct fs_probe){.fs = fs, .on_result = on_result, .context = context};
    snprintf(probe->temp, sizeof probe->temp, "%d-%u-%08x.probe.part",
             (int)getpid(), ++fs->count, loop_random(fs->loop));
    loop_work(fs->loop, probe_work, on_probed, probe);
}
