#include "edge/bucket/fs_sweep.h"

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

#define SWEEP_MAX 1000

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
    assert(folder_fd >= 0 && name[0]);
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
    assert(root_fd >= 0 && name[0]);
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
    assert(fs->sweeping);
    free(sweep);
    fs->sweeping = false;
    fs_free_if_over(fs);
}

void fs_sweep(struct bucket *base, const char *key_template,
              int64_t older_than_ms)
{
    assert(older_than_ms >= 0);
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
