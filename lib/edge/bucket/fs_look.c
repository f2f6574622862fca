#include "edge/bucket/fs_look.h"

#include "base/must.h"
#include "core/digest.h"
#include "core/video.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FREE_BYTES_MIN ((uint64_t)64 << 20)
#define PROBE_BYTES 5000 /* more than a page, no whole number of them */
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
    assert(check->fd < 0 && check->key && check->digest);
    int root_fd = fs_open_root(check->fs, &check->trouble);
    if (root_fd < 0) {
        return;
    }
    char last[256];
    int folder_fd = fs_enter_key(check->fs, root_fd, check->key, NULL, last,
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
    assert(check->fd >= 0 && !check->over);
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
    assert(check->fd >= 0 && check->over);
    int root_fd = fs_open_root(check->fs, &check->trouble);
    if (root_fd < 0) {
        return;
    }
    if (fdatasync(check->fd) != 0) {
        fs_trouble_here(&check->trouble, "make durable", check->key);
    } else {
        fs_keep_name(check->fs, root_fd, -1, check->key, &check->trouble);
    }
    close(root_fd);
}

static void check_work(void *context)
{
    struct fs_check *check = context;
    if (check->fd < 0 && check->trouble.end == BUCKET_DONE) {
        check_open(check); /* else there was no memory to begin with */
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
        const struct video_verdict verdict =
            video_check_end(&check->video, true);
        result.fault = verdict.fault;
        result.media = verdict.media;
    }
    bucket_fn *on_result = check->on_result;
    void *result_context = check->context;
    digest_free(check->digest);
    video_check_done(&check->video);
    free(check->key);
    must_free(check);
    on_result(result_context, &result);
}

void fs_check(struct bucket *base, struct str key, bucket_fn *on_result,
              void *context)
{
    struct fs *fs = (struct fs *)(void *)base;
    assert(key.len > 0 && on_result);
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

bool fs_has_room(const struct fs *fs, int folder_fd, char why[static 256])
{
    assert(folder_fd >= 0);
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

/** The bytes of a probe: some pages, the last one not full. */
static void probe_bytes(char out[static PROBE_BYTES])
{
    for (size_t i = 0; i < PROBE_BYTES; i++) {
        out[i] = (char)(i * 7 + i / 1000);
    }
}

static bool probe_fill(struct fs_probe *probe, int incoming_fd, int *fd)
{
    assert(incoming_fd >= 0);
    char bytes[PROBE_BYTES];
    const char *root = probe->fs->root;
    probe_bytes(bytes);
    *fd = openat(incoming_fd, probe->temp,
                 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (*fd < 0) {
        return fs_trouble_here(&probe->trouble, "make a file in", root);
    }
    ssize_t n = pwrite(*fd, bytes, sizeof bytes, 0);
    if (n != (ssize_t)sizeof bytes) {
        errno = n < 0 ? errno : ENOSPC;
        return fs_trouble_here(&probe->trouble, "write to", root);
    }
    return fdatasync(*fd) == 0 ||
           fs_trouble_here(&probe->trouble, "make durable a file in", root);
}

/** What is under the name is what was written. */
static bool probe_compare(struct fs_probe *probe, int folder_fd)
{
    assert(folder_fd >= 0);
    char wanted[PROBE_BYTES];
    char found[PROBE_BYTES + 1];
    int fd = openat(folder_fd, probe->temp, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return fs_trouble_here(&probe->trouble, "read back a file in",
                               probe->fs->root);
    }
    ssize_t n = pread(fd, found, sizeof found, 0);
    close(fd);
    probe_bytes(wanted);
    if (n < 0) {
        return fs_trouble_here(&probe->trouble, "read back a file in",
                               probe->fs->root);
    }
    if (n != PROBE_BYTES || memcmp(found, wanted, PROBE_BYTES) != 0) {
        probe->trouble.end = BUCKET_UNUSABLE;
        snprintf(probe->trouble.why, sizeof probe->trouble.why,
                 "%.150s gives back other bytes than it was given",
                 probe->fs->root);
        return false;
    }
    return true;
}

/** A name that is taken stays with what has it. */
static bool probe_refusal(struct fs_probe *probe, int incoming_fd,
                          int folder_fd)
{
    assert(incoming_fd >= 0 && folder_fd >= 0);
    char second[sizeof probe->temp + 8];
    snprintf(second, sizeof second, "%.60s", probe->temp);
    memcpy(second, "0", 1); /* pid 0…: nobody's */
    int fd = openat(incoming_fd, second,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return fs_trouble_here(&probe->trouble, "make a file in",
                               probe->fs->root);
    }
    const struct fs_temp temp = {incoming_fd, fd, second};
    struct fs_trouble trouble = {.end = BUCKET_DONE};
    bool moved;
    bool done = fs_publish(probe->fs, &temp, folder_fd, probe->temp, "a file",
                           &moved, &trouble);
    close(fd);
    unlinkat(incoming_fd, second, 0);
    if (done) {
        trouble.end = BUCKET_UNUSABLE;
        snprintf(trouble.why, sizeof trouble.why,
                 "%.150s lets a new file replace one that is there",
                 probe->fs->root);
    }
    if (trouble.end != BUCKET_EXISTS) {
        probe->trouble = trouble;
        return false;
    }
    return true;
}

/** Whether a file needs a name before its own; done without if it does not, and
 * the journal orders all. */
static void probe_nameless(struct fs_probe *probe, int root_fd, int folder_fd)
{
    struct fs *fs = probe->fs;
    const int fd = fs_is_ordered(fs, root_fd, folder_fd)
                       ? fs_open_nameless(fs, folder_fd)
                       : -1;
    const struct fs_temp temp = {.folder_fd = -1, .fd = fd};
    struct fs_trouble trouble = {.end = BUCKET_DONE};
    struct fs_trouble again = {.end = BUCKET_DONE};
    bool moved;
    fs->nameless = fd >= 0 && pwrite(fd, "", 1, 0) == 1 &&
                   fs_publish(fs, &temp, folder_fd, probe->temp, "a file",
                              &moved, &trouble) &&
                   !fs_publish(fs, &temp, folder_fd, probe->temp, "a file",
                               &moved, &again) &&
                   again.end == BUCKET_EXISTS;
    if (fd >= 0) {
        close(fd);
        unlinkat(folder_fd, probe->temp, 0);
    }
}

/** The way of a video: into a folder made for it, the names made durable. */
static void probe_way(struct fs_probe *probe, int root_fd, int incoming_fd)
{
    assert(root_fd >= 0 && incoming_fd >= 0);
    int fd = -1;
    bool made;
    bool moved = false;
    bool good = probe_fill(probe, incoming_fd, &fd);
    int folder_fd =
        good ? fs_enter(root_fd, FS_PROBES, &made, &probe->trouble) : -1;
    if (folder_fd >= 0) {
        const struct fs_temp temp = {incoming_fd, fd, probe->temp};
        good = fs_publish(probe->fs, &temp, folder_fd, probe->temp, "a file",
                          &moved, &probe->trouble) &&
               probe_refusal(probe, incoming_fd, folder_fd) &&
               probe_compare(probe, folder_fd);
        if (good && (!fs_keep_folder(probe->fs, folder_fd) ||
                     !fs_keep_folder(probe->fs, root_fd))) {
            fs_trouble_here(&probe->trouble, "make durable a name in",
                            probe->fs->root);
        }
        unlinkat(folder_fd, probe->temp, 0);
        probe_nameless(probe, root_fd, folder_fd);
        close(folder_fd);
    }
    if (fd >= 0) {
        close(fd);
        if (!moved) {
            unlinkat(incoming_fd, probe->temp, 0);
        }
    }
}

static void probe_work(void *context)
{
    struct fs_probe *probe = context;
    int root_fd = fs_open_root(probe->fs, &probe->trouble);
    if (root_fd < 0) {
        return;
    }
    bool made;
    if (faccessat(root_fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        fs_trouble_here(&probe->trouble, "make a folder in", probe->fs->root);
    }
    int incoming_fd = fs_enter(root_fd, FS_INCOMING, &made, &probe->trouble);
    if (incoming_fd >= 0) {
        probe_way(probe, root_fd, incoming_fd);
        if (probe->trouble.end == BUCKET_DONE &&
            !fs_has_room(probe->fs, incoming_fd, probe->trouble.why)) {
            probe->trouble.end = BUCKET_UNUSABLE;
        }
        close(incoming_fd);
    }
    close(root_fd);
}

static void on_probed(void *context)
{
    struct fs_probe *probe = context;
    assert(probe->fs->probes > 0);
    struct bucket_result result = {.end = probe->trouble.end};
    if (result.end == BUCKET_FAILED) {
        result.end = BUCKET_UNUSABLE; /* where that fails, so does all */
    }
    snprintf(result.why, sizeof result.why, "%s", probe->trouble.why);
    struct fs *fs = probe->fs;
    if (result.end == BUCKET_DONE && fs->forgetful) {
        snprintf(result.why, sizeof result.why,
                 "folders can't be made durable there: after a power failure "
                 "the name of a stored video may be lost");
    }
    bucket_fn *on_result = probe->on_result;
    void *result_context = probe->context;
    must_free(probe);
    fs->probes--;
    if (fs->closed) {
        fs_free_if_over(fs);
        return;
    }
    on_result(result_context, &result);
}

void fs_probe(struct bucket *base, bucket_fn *on_result, void *context)
{
    struct fs *fs = (struct fs *)(void *)base;
    assert(on_result);
    struct fs_probe *probe = MUST_NEW(struct fs_probe);
    *probe =
        (struct fs_probe){.fs = fs, .on_result = on_result, .context = context};
    snprintf(probe->temp, sizeof probe->temp, "%d-%u-%08x.probe.part",
             (int)getpid(), ++fs->count, loop_random(fs->loop));
    fs->probes++;
    loop_work(fs->loop, probe_work, on_probed, probe);
}
