#ifndef TESTS_EDGE_POLL_TRIAL_H
#define TESTS_EDGE_POLL_TRIAL_H

/** As http_trial.h, for the door of polls. */

#include "edge/http_trial.h"
#include "edge/poll.h"

static struct poller *poller;

static inline void open_poller(int connections, const char *ca_file)
{
    struct err err = {0};
    const struct poller_options options = {.connections_max = connections,
                                           .ca_file = ca_file};
    poller = poller_open(loop, &options, &err);
    assert_non_null(poller);
}

static inline bool ask_as(const char *url, const char *key, int64_t timeout_ms,
                          bool (*may_send)(void *), struct answer *answer)
{
    struct err err = {0};
    const struct exchange exchange = {
        .method = EXCHANGE_GET, .url = str_of(url), .bearer = str_of(key)};
    sending = true;
    const bool began = poller_send(poller, &exchange, timeout_ms, may_send,
                                   on_reply, answer, &err);
    sending = false;
    assert_true(began || err.kind == ERR_PERMANENT);
    return began;
}

static inline bool ask(const char *url, int64_t timeout_ms,
                       struct answer *answer)
{
    return ask_as(url, "secret", timeout_ms, NULL, answer);
}

/** One answer, to the end. */
static inline struct answer *asked(const char *url)
{
    memset(answers, 0, sizeof answers);
    came = 0;
    assert_true(ask(url, 10000, answers));
    wait_for(1);
    assert_int_equal(answers->calls, 1);
    return answers;
}

/** So many at once, all well. */
static inline void ask_well(const char *url, int n)
{
    memset(answers, 0, sizeof answers);
    came = 0;
    for (int i = 0; i < n; i++) {
        assert_true(ask(url, 10000, &answers[i]));
    }
    wait_for(n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_string_equal(answers[i].why, "");
        assert_int_equal(answers[i].end, REPLY_WHOLE);
        assert_int_equal(answers[i].status, 200);
    }
}

static inline void turn_for(int64_t ms)
{
    struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
    loop_timer_set(timer, ms);
    loop_run(loop);
    loop_timer_free(timer);
}

static inline void close_poller(void)
{
    if (poller) {
        poller_close(poller);
        poller = NULL;
    }
}

static inline int poll_teardown(void **state)
{
    close_poller();
    return teardown(state);
}

#define POLL_TEST(name) TEST_CASE_WITH(name, setup, poll_teardown)

#endif
