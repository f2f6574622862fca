#include "edge/bucket/fs_expect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Who has more to do than that has no turn of a thread to spare for it: a put
 * makes its folder itself, in the one that it has. */
#define REST_MS 10
/** By then its host has answered, or the transfer begins anew. */
#define LEFT_MS 120000

struct fs_expectation {
    struct fs *fs;
    char *key;
    bool made;
    char *left; /* a key for which one was made, and no put came in all that
                   time; null: none */
};

static void expect_work(void *context)
{
    struct fs_expectation *expectation = context;
    struct fs *fs = expectation->fs;
    struct fs_trouble trouble = {.end = BUCKET_DONE}; /* the put says it */
    char name[256];
    const int root_fd = fs_open_root(fs, &trouble);
    if (root_fd < 0) {
        return;
    }
    if (expectation->left) {
        fs_leave_key(fs, root_fd, expectation->left);
    }
    const int folder_fd = fs_enter_key(fs, root_fd, expectation->key,
                                       &expectation->made, name, &trouble);
    if (folder_fd >= 0) {
        close(folder_fd);
    }
    /* Made, but not to stay: what its own put makes is told, if that fails. */
    if (expectation->made && trouble.end != BUCKET_DONE) {
        fs_leave_key(fs, root_fd, expectation->key);
        expectation->made = false;
    }
    close(root_fd);
}

static void on_expected(void *context)
{
    struct fs_expectation *expectation = context;
    struct fs *fs = expectation->fs;
    assert(fs->expecting);
    fs->expecting = false;
    fs->made_ms = loop_boot_ms(fs->loop);
    if (!expectation->made) { /* or its put has come: it looks after it */
        free(fs->expected);
        fs->expected = NULL;
    }
    free(expectation->left);
    free(expectation->key);
    free(expectation);
    fs_free_if_over(fs);
}

void fs_expect(struct bucket *base, struct str key)
{
    struct fs *fs = (struct fs *)(void *)base;
    const int64_t now_ms = loop_boot_ms(fs->loop);
    const bool rests = now_ms - fs->expected_ms >= REST_MS && !fs->expecting;
    fs->expected_ms = now_ms;
    const bool waits = fs->expected && now_ms - fs->made_ms < LEFT_MS;
    if (!rests || waits || !memrchr(key.at, '/', key.len)) {
        return;
    }
    struct fs_expectation *expectation = calloc(1, sizeof *expectation);
    char *ours = strndup(key.at, key.len);
    char *copy = strndup(key.at, key.len);
    if (!expectation || !ours || !copy) {
        free(expectation);
        free(ours);
        free(copy);
        return;
    }
    *expectation =
        (struct fs_expectation){.fs = fs, .key = copy, .left = fs->expected};
    fs->expected = ours;
    fs->expecting = true;
    loop_work(fs->loop, expect_work, on_expected, expectation);
}

bool fs_expect_take(struct fs *fs, const char *key)
{
    if (!fs->expected || strcmp(fs->expected, key) != 0) {
        return false;
    }
    free(fs->expected);
    fs->expected = NULL;
    return true;
}
