#include "edge/bucket/fs_walk.h"

#include "base/buf.h"
#include "base/must.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES_MAX 2048 /* bucket.c lets none through that is as long */

/* ---- one ---- */

struct look {
    const struct fs *fs;
    bucket_fn *on_result;
    void *context;
    char key[KEY_BYTES_MAX];
    struct bucket_result result;
};

static void look_work(void *context)
{
    struct look *look = context;
    struct fs_trouble trouble = {.end = BUCKET_DONE};
    struct stat there;
    int root_fd = fs_open_root(look->fs, &trouble);
    look->result.end = BUCKET_DONE;
    if (root_fd >= 0 &&
        fstatat(root_fd, look->key, &there, AT_SYMLINK_NOFOLLOW) == 0) {
        look->result.bytes = S_ISREG(there.st_mode) ? there.st_size : -1;
        look->result.end =
            S_ISREG(there.st_mode) ? BUCKET_DONE : BUCKET_MISSING;
    } else if (root_fd >= 0 && (errno == ENOENT || errno == ENOTDIR)) {
        look->result.end = BUCKET_MISSING;
    } else if (root_fd >= 0) {
        fs_trouble_here(&trouble, "look at", look->key);
    }
    if (trouble.end != BUCKET_DONE) {
        look->result.end = trouble.end;
        snprintf(look->result.why, sizeof look->result.why, "%s", trouble.why);
    }
    if (root_fd >= 0) {
        close(root_fd);
    }
}

static void on_looked(void *context)
{
    struct look *look = context;
    look->on_result(look->context, &look->result);
    must_free(look);
}

void fs_look(struct bucket *base, struct str key, bucket_fn *on_result,
             void *context)
{
    struct fs *fs = (struct fs *)(void *)base;
    struct look *look = MUST_NEW(struct look);
    *look = (struct look){.fs = fs, .on_result = on_result, .context = context};
    snprintf(look->key, sizeof look->key, "%.*s", (int)key.len, key.at);
    loop_work(fs->loop, look_work, on_looked, look);
}

/* ---- all ---- */

#define DEPTH_MAX 32 /* a key has no more parts */

/** Folders that are open, one in the other: nothing else is remembered, however
 * much there is. */
struct walk {
    struct fs *fs;
    bucket_objects_fn *on_objects;
    bucket_fn *on_end;
    void *context;
    DIR *folders[DEPTH_MAX];
    size_t path_lens[DEPTH_MAX]; /* of the path to each */
    size_t depth;                /* open; 0: it is over, or hasn't begun */
    bool begun;
    char path[KEY_BYTES_MAX];      /* to the innermost one, a slash behind it */
    struct bucket_object *objects; /* BUCKET_OBJECTS_MAX of them */
    size_t *ends;                  /* of their keys in `keys` */
    size_t len;
    struct buf keys;
    struct fs_trouble trouble;
};

static void walk_enter(struct walk *walk, int fd, size_t path_len)
{
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder) {
        walk->folders[walk->depth] = folder;
        walk->path_lens[walk->depth++] = path_len;
        walk->path[path_len] = '\0';
        return;
    }
    if (fd < 0 && errno == ENOENT) {
        return; /* gone meanwhile */
    }
    fs_trouble_here(&walk->trouble, "read the folder", walk->path);
    if (fd >= 0) {
        close(fd);
    }
}

static void walk_leave(struct walk *walk)
{
    closedir(walk->folders[--walk->depth]);
    if (walk->depth > 0) {
        walk->path[walk->path_lens[walk->depth - 1]] = '\0';
    }
}

static void walk_entry(struct walk *walk, const char *name)
{
    DIR *folder = walk->folders[walk->depth - 1];
    size_t path_len = walk->path_lens[walk->depth - 1];
    size_t name_len = strlen(name);
    struct stat there;
    /* Our own folders of what is unfinished; no key has a part with a dot
     * before it. */
    if (name[0] == '.' || path_len + name_len + 2 > sizeof walk->path ||
        fstatat(dirfd(folder), name, &there, AT_SYMLINK_NOFOLLOW) != 0) {
        return;
    }
    if (S_ISREG(there.st_mode)) {
        buf_add(&walk->keys, walk->path, path_len);
        buf_add(&walk->keys, name, name_len);
        walk->objects[walk->len].bytes = there.st_size;
        walk->ends[walk->len++] = walk->keys.len;
    } else if (S_ISDIR(there.st_mode) && walk->depth < DEPTH_MAX) {
        memcpy(walk->path + path_len, name, name_len);
        walk->path[path_len + name_len] = '/';
        walk_enter(walk, fs_open_below(dirfd(folder), name),
                   path_len + name_len + 1);
    }
}

/** Until there is a part to give, or no more. */
static void walk_work(void *context)
{
    struct walk *walk = context;
    if (!walk->objects || !walk->ends) {
        return;
    }
    if (!walk->begun) {
        walk->begun = true;
        int fd = fs_open_root(walk->fs, &walk->trouble);
        if (fd >= 0) {
            walk_enter(walk, fd, 0);
        }
    }
    while (walk->depth > 0 && walk->len < BUCKET_OBJECTS_MAX &&
           walk->trouble.end == BUCKET_DONE) {
        const struct dirent *entry = readdir(walk->folders[walk->depth - 1]);
        if (entry) {
            walk_entry(walk, entry->d_name);
        } else {
            walk_leave(walk);
        }
    }
}

static void walk_end(struct walk *walk)
{
    struct bucket_result result = {.end = walk->trouble.end};
    snprintf(result.why, sizeof result.why, "%s", walk->trouble.why);
    while (walk->depth > 0) {
        walk_leave(walk);
    }
    bucket_fn *on_end = walk->on_end;
    void *end_context = walk->context;
    buf_done(&walk->keys);
    free(walk->objects);
    free(walk->ends);
    must_free(walk);
    on_end(end_context, &result);
}

static void on_walked(void *context)
{
    struct walk *walk = context;
    size_t begins = 0;
    if (walk->keys.failed || !walk->objects || !walk->ends) {
        fs_trouble_set(&walk->trouble, BUCKET_FAILED, "list", walk->fs->root,
                       ENOMEM);
        walk_end(walk);
        return;
    }
    for (size_t i = 0; i < walk->len; i++) {
        walk->objects[i].key =
            (struct str){walk->keys.bytes + begins, walk->ends[i] - begins};
        begins = walk->ends[i];
    }
    if (walk->len > 0) {
        walk->on_objects(walk->context, walk->objects, walk->len);
    }
    walk->len = 0;
    buf_reset(&walk->keys);
    if (walk->depth > 0 && walk->trouble.end == BUCKET_DONE) {
        loop_work(walk->fs->loop, walk_work, on_walked, walk);
    } else {
        walk_end(walk);
    }
}

void fs_walk(struct bucket *base, bucket_objects_fn *on_objects,
             bucket_fn *on_end, void *context)
{
    struct walk *walk = MUST_NEW(struct walk);
    memset(walk, 0, sizeof *walk);
    walk->fs = (struct fs *)(void *)base;
    walk->on_objects = on_objects;
    walk->on_end = on_end;
    walk->context = context;
    walk->trouble.end = BUCKET_DONE;
    walk->objects = calloc(BUCKET_OBJECTS_MAX, sizeof *walk->objects);
    walk->ends = calloc(BUCKET_OBJECTS_MAX, sizeof *walk->ends);
    buf_init(&walk->keys, 0);
    loop_work(walk->fs->loop, walk_work, on_walked, walk);
}
