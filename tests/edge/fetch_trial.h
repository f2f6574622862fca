#ifndef TESTS_EDGE_FETCH_TRIAL_H
#define TESTS_EDGE_FETCH_TRIAL_H

/** What the tests of downloads share: a loop, a fetcher, and what a fetch
 * said. */

#include "edge/fetch.h"
#include "edge/web.h"

#include <signal.h>

#include "lib/check.h"

#define LIMIT_MS 60000
#define MIB ((int64_t)1 << 20)

struct seen {
    struct fetch *fetch;
    int heads;
    int head_status;
    int64_t head_length;
    char type[64];
    int64_t bytes;
    uint32_t sum;
    char start[64];      /* of the body */
    bool refuse;         /* the body */
    int64_t pause_every; /* bytes; 0: never */
    int64_t pause_at;
    int64_t pause_ms;
    int pauses;
    bool paused;
    struct loop_timer *resume;
    int ends;
    struct fetch_end end;
};

static struct loop *loop;
static struct fetcher *fetcher;
static int ended;
static int awaited;

static inline void out_of_time(void *context)
{
    (void)context;
    fail_msg("only %d of %d fetches ended", ended, awaited);
}

static inline void wait_for(int ends)
{
    struct loop_timer *limit = loop_timer_new(loop, out_of_time, NULL);
    loop_timer_set(limit, LIMIT_MS);
    awaited = ends;
    if (ended < awaited) {
        loop_run(loop);
    }
    loop_timer_free(limit);
}

static inline void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static inline void turn_for(int64_t ms)
{
    struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
    loop_timer_set(timer, ms);
    loop_run(loop);
    loop_timer_free(timer);
}

static inline bool on_head(void *context, int status, int64_t length,
                           struct str type)
{
    struct seen *seen = context;
    seen->heads++;
    seen->head_status = status;
    seen->head_length = length;
    snprintf(seen->type, sizeof seen->type, "%.*s", (int)type.len,
             type.at ? type.at : "");
    return !seen->refuse;
}

static inline void resume(void *context)
{
    struct seen *seen = context;
    seen->paused = false;
    if (!seen->ends) {
        fetch_resume(seen->fetch);
    }
}

static inline uint32_t sum_of(uint32_t sum, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum = (sum ^ (unsigned char)bytes[i]) * 16777619U;
    }
    return sum;
}

static inline bool on_data(void *context, const char *bytes, size_t len)
{
    struct seen *seen = context;
    assert_false(seen->paused);
    assert_int_equal(seen->ends, 0);
    if (seen->bytes < 63) {
        size_t part =
            len < (size_t)(63 - seen->bytes) ? len : (size_t)(63 - seen->bytes);
        memcpy(seen->start + seen->bytes, bytes, part);
    }
    seen->bytes += (int64_t)len;
    seen->sum = sum_of(seen->sum, bytes, len);
    if (seen->pause_every && seen->bytes >= seen->pause_at) {
        seen->pause_at = seen->bytes + seen->pause_every;
        seen->pauses++;
        seen->paused = true;
        loop_timer_set(seen->resume, seen->pause_ms);
        return false;
    }
    return true;
}

static inline void on_end(void *context, const struct fetch_end *end)
{
    struct seen *seen = context;
    assert_non_null(seen->fetch); /* not before fetch_start() has returned */
    seen->ends++;
    seen->end = *end;
    if (++ended == awaited) {
        loop_stop(loop);
    }
}

static const struct fetch_hooks hooks = {
    .on_head = on_head, .on_data = on_data, .on_end = on_end};

static inline void start_with(struct seen *seen, const char *url,
                              int64_t connect_ms, int64_t stall_ms)
{
    struct err err = {0};
    seen->fetch = fetch_start(fetcher, str_of(url), connect_ms, stall_ms,
                              &hooks, seen, &err);
    if (!seen->fetch) {
        fail_msg("%s did not start: %s", url, err.text);
    }
}

static inline void start(struct seen *seen, const char *url)
{
    start_with(seen, url, 5000, 5000);
}

static inline void assert_refused(const char *url)
{
    struct err err = {0};
    struct seen seen = {0};
    if (fetch_start(fetcher, str_of(url), 1000, 1000, &hooks, &seen, &err)) {
        fail_msg("%s was not refused", url);
    }
    assert_int_equal(err.kind, ERR_PERMANENT);
}

static inline void open_fetcher(bool allow_private, int64_t bytes_max,
                                const char *ca_file)
{
    struct err err = {0};
    const struct fetcher_options options = {.allow_private = allow_private,
                                            .bytes_max = bytes_max,
                                            .ca_file = ca_file};
    fetcher = fetcher_open(loop, &options, &err);
    assert_non_null(fetcher);
}

static inline int setup(void **state)
{
    (void)state;
    struct err err = {0};
    ended = 0;
    awaited = -1;
    loop = loop_open(&err);
    return loop ? 0 : -1;
}

static inline void close_fetcher(void)
{
    if (fetcher) {
        fetcher_close(fetcher);
        fetcher = NULL;
    }
}

#define TEST(name) TEST_CASE_WITH(name, setup, teardown)

#endif
