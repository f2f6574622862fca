#ifndef TESTS_EDGE_BUCKET_WALK_H
#define TESTS_EDGE_BUCKET_WALK_H

/** What is there, in a store of either kind: behind the header of its trial,
 * whose struct trial, on_result() and wait_for() it uses. */

/** What a walk gave: how many, how long in all, and one of them. */
struct seen {
    size_t len;
    int64_t bytes;
    size_t most; /* at once */
    char key[100];
};

struct walking {
    struct answer answer; /* first: its end */
    struct seen seen;
};

static inline void on_objects(void *context,
                              const struct bucket_object *objects, size_t len)
{
    struct seen *seen = &((struct walking *)context)->seen;
    assert_true(len > 0);
    seen->most = len > seen->most ? len : seen->most;
    for (size_t i = 0; i < len; i++) {
        seen->len++;
        seen->bytes += objects[i].bytes;
        if (objects[i].bytes == 7) {
            snprintf(seen->key, sizeof seen->key, "%.*s",
                     (int)objects[i].key.len, objects[i].key.at);
        }
    }
}

static inline struct bucket_result walk(struct trial *trial, struct seen *seen)
{
    struct walking walking = {.answer = {.trial = trial}};
    bucket_walk(trial->bucket, on_objects, on_result, &walking);
    wait_for(trial, &walking.answer);
    *seen = walking.seen;
    return walking.answer.result;
}

static inline struct bucket_result look(struct trial *trial, const char *key)
{
    struct answer answer = {.trial = trial};
    bucket_look(trial->bucket, str_of(key), on_result, &answer);
    wait_for(trial, &answer);
    return answer.result;
}

/** Files of 3 bytes, one of 7, as anybody could have put them there. */
static inline void litter(const char *folder, int files)
{
    char path[600];
    for (int i = 0; i < files; i++) {
        snprintf(path, sizeof path, "%s/%d/%d", folder, i % 3, i);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(i ? "abc" : "abcdefg", file);
        fclose(file);
    }
}

#endif
