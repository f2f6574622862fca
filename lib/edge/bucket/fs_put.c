#include "edge/bucket/fs_put.h"

#include "base/crashpoint.h"
#include "edge/bucket/fs_expect.h"
#include "edge/bucket/fs_journal.h"
#include "edge/bucket/fs_look.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum fs_step { STEP_NONE, STEP_OPEN, STEP_WRITE, STEP_FINISH, STEP_ABORT };

struct fs_put {
    struct put base;
    struct fs *fs;
    loop_fn *on_ready;
    bucket_fn *on_end;
    void *context;
    char *key;
    int64_t announced;   /* bytes; -1: unknown */
    int64_t taken;       /* bytes handed to us */
    const char *refused; /* by the loop thread; null: not */

    char *filling; /* of the loop thread */
    size_t filled;
    char *writing; /* of the working thread, while the step runs */
    size_t writing_len;
    char *spill; /* what came when both were full */
    size_t spill_len;
    size_t spill_size;

    enum fs_step step; /* running now */
    bool opened;
    bool said_no; /* on_ready is owed */
    bool finishing;
    bool cancelled;
    bool published;
    int root_fd;
    int folder_fd;    /* of the key */
    bool folder_made; /* for this one */
    char name[256];   /* in that folder */
    int incoming_fd;  /* -1: the file has no name yet */
    int fd;
    bool direct;  /* writes go past the page cache */
    bool ordered; /* as fs_kept_is_ordered() says; nameless: of its folder */
    bool temp_made;
    char temp[64];
    int64_t written;
    bool nearly_full;
    struct fs_trouble trouble;
};

/* Steps of a put; on working threads */

/** Into one buffer, and on to the disk in one step: three times as many hops
 * between threads cost more than all that is done on them. */
static bool is_one_piece(const struct fs_put *put)
{
    return put->announced >= 0 &&
           put->announced < (int64_t)put->fs->buffer_bytes;
}

static bool enter_folder(struct fs_put *put)
{
    bool made = false;
    put->folder_fd = fs_enter_key(put->fs, put->root_fd, put->key, &made,
                                  put->name, &put->trouble);
    put->folder_made = put->folder_made || made;
    return put->folder_fd >= 0;
}

/** A folder may go while we are in it: whoever came to nothing takes the one
 * that it has made away, if nothing has a name in it yet. */
static bool enter_again(struct fs_put *put)
{
    close(put->folder_fd);
    put->folder_fd = -1;
    return enter_folder(put);
}

/**
 * In the folder where it will be, without a name: no other folder has news of
 * it, and a crash leaves nothing. Only where the journal orders all: elsewhere
 * the folder's fsync() brings its name home, and not that the file has one.
 */
static void open_nameless(struct fs_put *put)
{
    bool entered = enter_folder(put);
    for (int tries = 0; entered && tries < 3; tries++) {
        if (!fs_is_ordered(put->fs, put->root_fd, put->folder_fd)) {
            fs_trouble_mount(put->fs, &put->trouble, put->key);
            return;
        }
        put->fd = fs_open_nameless(put->fs, put->folder_fd);
        const int code = errno;
        if (put->fd >= 0 || !fs_is_gone(put->folder_fd)) {
            errno = code;
            return;
        }
        entered = enter_again(put);
    }
    fs_trouble_set(&put->trouble, BUCKET_FAILED, "stay in the folder of",
                   put->key, ENOENT);
}

static void open_temp(struct fs_put *put)
{
    bool made;
    put->incoming_fd =
        fs_enter(put->root_fd, FS_INCOMING, &made, &put->trouble);
    if (put->incoming_fd < 0) {
        return;
    }
    put->fd =
        openat(put->incoming_fd, put->temp,
               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    put->temp_made = put->fd >= 0;
}

static void put_open(struct fs_put *put)
{
    struct fs *fs = put->fs;
    assert(put->fd < 0 && !put->temp_made);
    put->root_fd = fs_open_root(fs, &put->trouble);
    if (put->root_fd < 0) {
        return;
    }
    put->ordered = fs_kept_is_ordered(&fs->kept, put->root_fd);
    const bool nameless = put->ordered && fs->nameless;
    if (nameless) {
        open_nameless(put);
    }
    /* It may just have shown that a file needs one. */
    if (put->fd < 0 && put->trouble.end == BUCKET_DONE &&
        !(nameless && fs->nameless)) {
        open_temp(put);
    }
    if (put->fd < 0) {
        fs_trouble_here(&put->trouble, "make a file in", fs->root);
        return;
    }
    /* Copying into the page cache costs more than all the rest of a transfer.
     * A small video is one write, and done sooner with it. */
    put->direct =
        (put->announced < 0 || put->announced >= (int64_t)FS_BUFFER_BYTES) &&
        fcntl(put->fd, F_SETFL, O_DIRECT) == 0; /* tmpfs refuses, for one */
    /* A full disk shows now, not after the download. */
    if (!is_one_piece(put) && put->announced > 0 &&
        fallocate(put->fd, 0, 0, put->announced) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS && errno != EINTR) {
        fs_trouble_here(&put->trouble, "reserve room in", fs->root);
    }
}

static void leave_direct(struct fs_put *put)
{
    put->direct = false;
    fcntl(put->fd, F_SETFL, 0);
}

static bool write_all(struct fs_put *put, const char *bytes, size_t len)
{
    assert(put->fd >= 0 && put->written >= 0);
    while (len > 0) {
        size_t whole = len / FS_ALIGN * FS_ALIGN;
        if (put->direct && whole == 0) {
            leave_direct(put); /* the end of the video */
        }
        ssize_t n =
            pwrite(put->fd, bytes, put->direct ? whole : len, put->written);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EINVAL && put->direct) {
            leave_direct(put); /* its blocks are larger, or a write was cut */
            continue;
        }
        if (n < 0) {
            return fs_trouble_here(&put->trouble, "write to", put->fs->root);
        }
        bytes += n;
        len -= (size_t)n;
        put->written += n;
    }
    return true;
}

static bool make_durable(struct fs_put *put)
{
    assert(put->fd >= 0);
    if (put->announced >= 0 && put->announced != put->written) {
        /* What fallocate() reserved beyond the end is no part of a video. */
        put->trouble.end = BUCKET_FAILED;
        snprintf(put->trouble.why, sizeof put->trouble.why,
                 "%lld bytes came, announced: %lld", (long long)put->written,
                 (long long)put->announced);
        return false;
    }
    if (put->ordered) {
        return fs_write_out(put->fd) ||
               fs_trouble_here(&put->trouble, "make durable", put->key);
    }
    if (fdatasync(put->fd) == 0) {
        return true;
    }
    /* Never tried again: the kernel may have dropped the pages, and would
     * report success. This file goes, and the video is fetched afresh. */
    return fs_trouble_here(&put->trouble, "make durable", put->key);
}

static void publish(struct fs_put *put)
{
    const struct fs_temp temp = {put->incoming_fd, put->fd,
                                 put->temp_made ? put->temp : NULL};
    bool moved = false;
    put->published = fs_publish(put->fs, &temp, put->folder_fd, put->name,
                                put->key, &moved, &put->trouble);
    /* A second name goes when the put ends. */
    put->temp_made = put->temp_made && !moved;
}

static void publish_there(struct fs_put *put)
{
    CRASHPOINT("name_before");
    publish(put);
    if (!put->published && fs_is_gone(put->folder_fd)) {
        put->trouble = (struct fs_trouble){.end = BUCKET_DONE};
        if (enter_again(put)) {
            publish(put);
        }
    }
}

static void put_finish_step(struct fs_put *put)
{
    assert(put->root_fd >= 0 && put->fd >= 0);
    if (!write_all(put, put->writing, put->writing_len) || !make_durable(put)) {
        return;
    }
    CRASHPOINT("bytes_durable");
    /* Minutes may have passed: what was entered then may have been moved. */
    const bool entered = put->folder_fd >= 0 && is_one_piece(put);
    if (entered ||
        (put->folder_fd >= 0 ? enter_again(put) : enter_folder(put))) {
        publish_there(put);
    }
    if (put->published) {
        CRASHPOINT("name_after");
        /* If that fails: visible, perhaps not for long; found if it stays. */
        fs_keep_name(put->fs, put->root_fd, put->folder_fd, put->key,
                     &put->trouble);
        CRASHPOINT("name_durable");
        put->nearly_full =
            put->trouble.end == BUCKET_DONE &&
            !fs_has_room(put->fs, put->root_fd, put->trouble.why);
    }
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void put_abort_step(struct fs_put *put)
{
    close_if_open(put->fd);
    if (put->temp_made) {
        unlinkat(put->incoming_fd, put->temp, 0);
    }
    if (put->folder_made && !put->published) {
        struct fs_trouble trouble = {.end = BUCKET_DONE};
        if (put->root_fd < 0) { /* it was expected, and is not even begun */
            put->root_fd = fs_open_root(put->fs, &trouble);
        }
        if (put->root_fd >= 0) {
            fs_leave_key(put->fs, put->root_fd, put->key);
        }
    }
    close_if_open(put->incoming_fd);
    close_if_open(put->folder_fd);
    close_if_open(put->root_fd);
}

/** What is small has had no step yet. */
static bool is_open(struct fs_put *put)
{
    if (put->fd < 0) {
        put_open(put);
    }
    return put->trouble.end == BUCKET_DONE;
}

static void put_work(void *context)
{
    struct fs_put *put = context;
    assert(put->step != STEP_NONE);
    switch (put->step) {
    case STEP_OPEN:
        put_open(put);
        break;
    case STEP_WRITE:
        if (is_open(put)) {
            write_all(put, put->writing, put->writing_len);
        }
        break;
    case STEP_FINISH:
        if (is_open(put)) {
            put_finish_step(put);
        }
        put_abort_step(put); /* well or not: what is left is to close */
        break;
    case STEP_ABORT:
        put_abort_step(put);
        break;
    case STEP_NONE:
        break;
    }
}

/* A put on the loop thread */

static void put_pump(struct fs_put *put);

static void put_end(struct fs_put *put)
{
    struct fs *fs = put->fs;
    assert(put->step == STEP_ABORT || put->step == STEP_FINISH);
    struct bucket_result result = {.end = put->trouble.end,
                                   .bytes = put->written,
                                   .nearly_full = put->nearly_full};
    if (put->cancelled && !put->published) {
        result.end = BUCKET_CANCELLED;
    }
    snprintf(result.why, sizeof result.why, "%s", put->trouble.why);
    bucket_fn *on_end = put->on_end;
    void *on_end_context = put->context;
    fs->free_buffers[fs->free_len++] = put->filling;
    fs->free_buffers[fs->free_len++] = put->writing;
    free(put->spill);
    free(put->key);
    free(put);
    on_end(on_end_context, &result);
}

/** Fills the buffer from what was spilled. */
static void unspill(struct fs_put *put)
{
    assert(put->filled <= put->fs->buffer_bytes);
    size_t n = put->fs->buffer_bytes - put->filled;
    n = n < put->spill_len ? n : put->spill_len;
    if (n == 0) {
        return;
    }
    memcpy(put->filling + put->filled, put->spill, n);
    put->filled += n;
    put->spill_len -= n;
    memmove(put->spill, put->spill + n, put->spill_len);
}

static void on_step(void *context)
{
    struct fs_put *put = context;
    assert(put->step != STEP_NONE);
    if (put->step == STEP_ABORT || put->step == STEP_FINISH) {
        put_end(put);
        return;
    }
    put->opened = true;
    put->step = STEP_NONE;
    put->writing_len = 0;
    put_pump(put);
    if (put->said_no && put->step != STEP_ABORT && !put->cancelled &&
        put->spill_len == 0 && put->filled < put->fs->buffer_bytes) {
        put->said_no = false;
        put->on_ready(put->context); /* last: it may do anything */
    }
}

/** Starts the next step, if none is running and one is due. */
static void put_pump(struct fs_put *put)
{
    if (put->step != STEP_NONE) {
        return;
    }
    unspill(put);
    bool all_here = put->finishing && put->spill_len == 0;
    if (put->refused && put->trouble.end == BUCKET_DONE) {
        put->trouble.end = BUCKET_FAILED;
        snprintf(put->trouble.why, sizeof put->trouble.why, "%s: %s", put->key,
                 put->refused);
    }
    if (put->cancelled || put->trouble.end != BUCKET_DONE) {
        put->step = STEP_ABORT;
    } else if (!put->opened && !is_one_piece(put)) {
        put->step = STEP_OPEN;
    } else if (all_here) {
        put->step = STEP_FINISH;
    } else if (put->filled == put->fs->buffer_bytes) {
        put->step = STEP_WRITE;
    } else {
        return;
    }
    if (put->step == STEP_FINISH || put->step == STEP_WRITE) {
        char *full = put->filling;
        put->filling = put->writing;
        put->writing = full;
        put->writing_len = put->filled;
        put->filled = 0;
        unspill(put);
    }
    loop_work(put->fs->loop, put_work, on_step, put);
}

static void spill(struct fs_put *put, const char *bytes, size_t len)
{
    assert(len > 0 && put->spill_len <= put->spill_size);
    if (put->spill_len + len > put->spill_size) {
        size_t size = (put->spill_len + len) * 2;
        char *grown = realloc(put->spill, size);
        if (!grown) {
            put->refused = "there is no memory for it";
            return;
        }
        put->spill = grown;
        put->spill_size = size;
    }
    memcpy(put->spill + put->spill_len, bytes, len);
    put->spill_len += len;
}

bool fs_write(struct put *base, const char *bytes, size_t len)
{
    struct fs_put *put = (struct fs_put *)(void *)base;
    assert(!put->finishing && !put->cancelled);
    put->taken += (int64_t)len;
    if (put->taken > put->fs->bytes_max) {
        put->refused = "it is larger than allowed";
    }
    if (put->step == STEP_ABORT || put->refused) {
        put_pump(put);
        return true; /* its end is on the way */
    }
    while (len > 0 && put->spill_len == 0 &&
           put->filled < put->fs->buffer_bytes) {
        size_t n = put->fs->buffer_bytes - put->filled;
        n = n < len ? n : len;
        memcpy(put->filling + put->filled, bytes, n);
        put->filled += n;
        bytes += n;
        len -= n;
        if (put->filled == put->fs->buffer_bytes) {
            put_pump(put);
        }
    }
    if (len > 0) {
        spill(put, bytes, len);
    }
    bool room = put->spill_len == 0 && put->filled < put->fs->buffer_bytes;
    put->said_no = !room;
    return room;
}

void fs_finish(struct put *base, const char *sha256)
{
    (void)sha256; /* a folder has no place for it */
    struct fs_put *put = (struct fs_put *)(void *)base;
    assert(!put->finishing && !put->cancelled);
    put->finishing = true;
    put->said_no = false; /* nothing more is wanted of the caller */
    put_pump(put);
}

void fs_cancel(struct put *base)
{
    struct fs_put *put = (struct fs_put *)(void *)base;
    assert(!put->cancelled);
    put->cancelled = true;
    put_pump(put);
}

struct put *fs_put(struct bucket *base, struct str key, int64_t bytes,
                   loop_fn *on_ready, bucket_fn *on_end, void *context,
                   struct err *err)
{
    struct fs *fs = (struct fs *)(void *)base;
    assert(key.len > 0 && bytes >= -1);
    if (bytes > fs->bytes_max) {
        err_set(err, ERR_PERMANENT, "%lld bytes, allowed: %lld",
                (long long)bytes, (long long)fs->bytes_max);
        return NULL;
    }
    if (fs->free_len < 2) {
        err_set(err, ERR_TRANSIENT, "too many files are being written");
        return NULL;
    }
    struct fs_put *put = calloc(1, sizeof *put);
    char *copy = strndup(key.at, key.len);
    if (!put || !copy) {
        free(put);
        free(copy);
        err_set(err, ERR_TRANSIENT, "no memory for a file");
        return NULL;
    }
    *put = (struct fs_put){
        .base = {&bucket_fs_kind},
        .fs = fs,
        .on_ready = on_ready,
        .on_end = on_end,
        .context = context,
        .key = copy,
        .announced = bytes,
        .filling = fs->free_buffers[fs->free_len - 1],
        .writing = fs->free_buffers[fs->free_len - 2],
        .root_fd = -1,
        .folder_fd = -1,
        .folder_made = fs_expect_take(fs, copy),
        .incoming_fd = -1,
        .fd = -1,
    };
    fs->free_len -= 2;
    unsigned char random[8];
    char hex[2 * sizeof random + 1];
    loop_random_bytes(fs->loop, random, sizeof random);
    str_hex(random, sizeof random, hex);
    snprintf(put->temp, sizeof put->temp, "%d-%u-%s.part", (int)getpid(),
             ++fs->count, hex);
    put_pump(put);
    return &put->base;
}
