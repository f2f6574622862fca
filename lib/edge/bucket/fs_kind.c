#include "edge/bucket/fs.h"
#include "edge/bucket/fs_expect.h"
#include "edge/bucket/fs_look.h"
#include "edge/bucket/fs_put.h"
#include "edge/bucket/fs_sweep.h"
#include "edge/bucket/fs_walk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES_MIN ((size_t)128 << 10)

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
    assert(puts_max >= 1);
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
    assert(!fs->closed);
    fs->closed = true;
    fs_free_if_over(fs);
}

static struct bucket *fs_open(struct loop *loop, struct str url, int puts_max,
                              int64_t bytes_max, const struct proxy *proxy,
                              struct err *err)
{
    (void)proxy; /* a directory is on this machine */
    struct fs *fs = calloc(1, sizeof *fs);
    if (!fs) {
        err_set(err, ERR_TRANSIENT, "no memory for the store");
        return NULL;
    }
    *fs = (struct fs){
        .base = {&bucket_fs_kind, loop}, .loop = loop, .bytes_max = bytes_max};
    fs_kept_init(&fs->kept);
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
    .expect = fs_expect,
    .put = fs_put,
    .write = fs_write,
    .finish = fs_finish,
    .cancel = fs_cancel,
    .check = fs_check,
    .look = fs_look,
    .walk = fs_walk,
    .probe = fs_probe,
    .sweep = fs_sweep,
    .close = fs_close,
};
