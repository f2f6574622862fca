/* tests/run: raced */
/* wraps: clock_gettime */
#include "edge/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/check.h"

#define LIMIT_MS 60000

/** By so much the wall clock is wrong; the loop's timers are libuv's. */
static time_t wall_ahead_s;

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = __real_clock_gettime(id, now);
    now->tv_sec += id == CLOCK_REALTIME ? wall_ahead_s : 0;
    return rc;
}

static struct loop *loop;
static char trace[256];

static void note(const char *word)
{
    size_t len = strlen(trace);
    snprintf(trace + len, sizeof trace - len, "%s ", word);
}

static void sleep_ms(long ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

static void out_of_time(void *context)
{
    (void)context;
    fail_msg("the loop did not come to its end; seen: %s", trace);
}

static void stop_it(void *context)
{
    loop_stop(context);
}

static void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

/** Until somebody stops it. */
static void turn(void)
{
    struct loop_timer *limit = loop_timer_new(loop, out_of_time, NULL);
    loop_timer_set(limit, LIMIT_MS);
    loop_run(loop);
    loop_timer_free(limit);
}

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    loop = loop_open(&err);
    trace[0] = '\0';
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_close(loop);
    return 0;
}

static void note_word(void *context)
{
    note(context);
}

/* ---- deferred calls ---- */

/** Set by what comes before it: libuv from 1.45 on runs what is due before the
 * first turn, and a loop that was stopped has none. */
static struct loop_timer *later;

static void note_and_defer(void *context)
{
    note(context);
    loop_defer(loop, note_word, "later");
    loop_timer_set(later, 50);
}

#define TEST(name) TEST_CASE_WITH(name, setup, teardown)

TEST(loop_defer__twice_the_same__is_called_once_in_order)
{
    loop_defer(loop, note_word, "a");
    loop_defer(loop, note_word, "b");
    loop_defer(loop, note_word, "a");
    loop_defer(loop, stop, NULL);
    turn();
    assert_string_equal(trace, "a b ");
}

TEST(loop_defer__from_a_deferred_call__runs_in_the_same_turn)
{
    later = loop_timer_new(loop, stop, NULL);
    loop_defer(loop, note_and_defer, "first");
    turn();
    assert_string_equal(trace, "first later ");
    loop_timer_free(later);
}

static void note_now_and_defer(void *context)
{
    (void)context;
    note("timer");
    loop_defer(loop, note_word, "end");
    loop_timer_set(later, 60);
}

TEST(loop_defer__from_a_timer__runs_before_the_next_wait)
{
    struct loop_timer *soon = loop_timer_new(loop, note_now_and_defer, NULL);
    later = loop_timer_new(loop, stop, NULL);
    loop_timer_set(soon, 1);
    turn();
    assert_string_equal(trace, "timer end ");
    loop_timer_free(soon);
    loop_timer_free(later);
}

static void note_and_undefer(void *context)
{
    note(context);
    loop_undefer(loop, note_word, "gone");
    loop_undefer(loop, note_word, "gone too");
    loop_defer(loop, note_word, "gone");
    loop_undefer(loop, note_word, "gone");
}

TEST(loop_undefer__before_or_among_its_turn__is_not_called)
{
    loop_undefer(loop, note_word, "never deferred");
    loop_defer(loop, note_word, "gone");
    loop_undefer(loop, note_word, "gone");
    loop_defer(loop, note_word, "a");
    loop_defer(loop, note_and_undefer, "b");
    loop_defer(loop, note_word, "gone too");
    loop_defer(loop, note_word, "c");
    loop_defer(loop, stop, NULL);
    turn();
    assert_string_equal(trace, "a b c ");
}

static int endless;

static void defer_for_ever(void *context)
{
    endless++;
    loop_defer(loop, defer_for_ever, context);
}

static struct loop_timer *patient;

/** In the first turn it is due already, if that begins late. */
static void stop_among_many(void *context)
{
    (void)context;
    if (endless > 8) {
        loop_stop(loop);
    } else {
        loop_timer_set(patient, 20);
    }
}

TEST(loop_defer__again_and_again__starves_no_timer)
{
    patient = loop_timer_new(loop, stop_among_many, NULL);
    endless = 0;
    loop_timer_set(patient, 20);
    loop_defer(loop, defer_for_ever, NULL);
    turn();
    assert_true(endless > 8);
    loop_timer_free(patient);
}

/* ---- posts ---- */

static int posted[1000];
static int posted_len;

static void take(void *context)
{
    posted[posted_len++] = *(int *)context;
    if (posted_len == 1000) {
        loop_stop(loop);
    }
}

static void *post_numbers(void *context)
{
    int *numbers = context;
    for (int i = 0; i < 1000; i++) {
        numbers[i] = i;
        loop_post(loop, take, &numbers[i]);
    }
    return NULL;
}

TEST(loop_post__from_another_thread__comes_in_order)
{
    static int numbers[1000];
    pthread_t thread;
    posted_len = 0;
    pthread_create(&thread, NULL, post_numbers, numbers);
    turn();
    pthread_join(thread, NULL);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(posted[i], i);
    }
}

TEST(loop_close__with_a_post_left__calls_it)
{
    struct err err = {0};
    struct loop *other = loop_open(&err);
    assert_non_null(other);
    loop_post(other, note_word, "posted");
    loop_close(other);
    assert_string_equal(trace, "posted ");
}

/* ---- clocks ---- */

static int64_t seen_ms;
static int64_t posted_ms;

static void look_and_stop(void *context)
{
    (void)context;
    seen_ms = loop_boot_ms(loop);
    loop_stop(loop);
}

static void *post_later(void *context)
{
    (void)context;
    sleep_ms(150);
    posted_ms = loop_boot_us(loop) / 1000;
    loop_post(loop, look_and_stop, NULL);
    return NULL;
}

static void look(void *context)
{
    (void)context;
    (void)loop_boot_ms(loop); /* of the turn before the long wait */
}

TEST(loop_boot_ms__after_a_wait__is_of_this_turn)
{
    pthread_t thread;
    loop_defer(loop, look, NULL);
    pthread_create(&thread, NULL, post_later, NULL);
    turn();
    pthread_join(thread, NULL);
    assert_in_range(seen_ms - posted_ms, 0, LIMIT_MS);
}

TEST(loop_boot_ms__between_two_runs__goes_on)
{
    loop_defer(loop, look_and_stop, NULL);
    turn();
    sleep_ms(30);
    assert_true(loop_boot_ms(loop) - seen_ms >= 29);
}

static void block(void *context)
{
    sleep_ms(*(long *)context);
}

/* By it leases are judged: NTP and operators must not end or prolong one. */
TEST(loop_boot_ms__the_wall_clock_jumps__goes_on)
{
    for (int hours = -5; hours <= 5; hours += 10) {
        int64_t before_ms = loop_boot_ms(loop);
        wall_ahead_s = hours * 3600;
        assert_in_range(loop_boot_ms(loop) - before_ms, 0, LIMIT_MS);
        wall_ahead_s = 0;
    }
}

/** The loop stops behind it, in the next turn: the thread may begin late. */
static void block_and_stop(void *ms)
{
    block(ms);
    loop_defer(loop, stop, NULL);
}

TEST(loop_longest_turn_us__something_blocks__shows_it)
{
    static long ms = 60;
    loop_defer(loop, block_and_stop, &ms);
    turn();
    int64_t longest_us = loop_longest_turn_us(loop);
    assert_true(longest_us >= 59000);
    /* Two scrapers see the same. */
    assert_int_equal(loop_longest_turn_us(loop), longest_us);
}

static long block_ms = 60;

static void *post_block(void *fn)
{
    loop_post(loop, *(loop_fn **)fn, &block_ms);
    return NULL;
}

/** The longest turn, where a descriptor's callback does that. */
static int64_t longest_us_of(loop_fn *fn)
{
    pthread_t thread;
    pthread_create(&thread, NULL, post_block, &fn);
    turn();
    pthread_join(thread, NULL);
    return loop_longest_turn_us(loop);
}

TEST(loop_longest_turn_us__a_descriptor_s_callback_blocks__shows_it)
{
    assert_true(longest_us_of(block_and_stop) >= 59000);
}

static void block_and_set_timer(void *ms)
{
    struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
    block_and_stop(ms);
    loop_timer_set(timer, 1); /* libuv looks at the clock for it */
    loop_timer_free(timer);
}

TEST(loop_longest_turn_us__a_timer_is_set_behind_what_blocks__shows_it)
{
    assert_true(longest_us_of(block_and_set_timer) >= 59000);
}

TEST(loop_longest_turn_us__only_waiting__stays_short)
{
    int64_t longest_us = INT64_MAX;
    /* A busy machine may make one of them long, which its loop remembers. */
    for (int i = 0; i < 10 && longest_us >= 200000; i++) {
        struct err err;
        struct loop *fresh = loop_open(&err);
        assert_non_null(fresh);
        struct loop_timer *timer = loop_timer_new(fresh, stop_it, fresh);
        loop_timer_set(timer, 300);
        loop_run(fresh);
        longest_us = loop_longest_turn_us(fresh);
        loop_timer_free(timer);
        loop_close(fresh);
    }
    assert_true(longest_us < 200000);
}

/* ---- timers ---- */

TEST(loop_timer_set__again__replaces_the_first)
{
    struct loop_timer *timer = loop_timer_new(loop, note_word, "tick");
    struct loop_timer *end = loop_timer_new(loop, stop, NULL);
    loop_timer_set(timer, 1);
    loop_timer_set(timer, 30);
    loop_timer_set(end, 100);
    turn();
    assert_string_equal(trace, "tick ");
    loop_timer_free(timer);
    loop_timer_free(end);
}

TEST(loop_timer_stop__before_its_time__is_never_called)
{
    struct loop_timer *timer = loop_timer_new(loop, note_word, "tick");
    struct loop_timer *end = loop_timer_new(loop, stop, NULL);
    loop_timer_set(timer, 5);
    loop_timer_stop(timer);
    loop_timer_set(end, 40);
    turn();
    assert_string_equal(trace, "");
    loop_timer_free(timer);
    loop_timer_free(end);
}

static struct loop_timer *self;

static void free_self(void *context)
{
    (void)context;
    loop_timer_free(self);
    loop_stop(loop);
}

TEST(loop_timer_free__in_its_own_call__is_fine)
{
    self = loop_timer_new(loop, free_self, NULL);
    loop_timer_set(self, 0);
    turn();
}

/* ---- signals and work ---- */

static void on_hangup(void *context)
{
    note(context);
    loop_stop(loop);
}

TEST(loop_on_signal__raised__is_called_on_the_loop)
{
    loop_on_signal(loop, SIGHUP, on_hangup, "hup");
    raise(SIGHUP);
    assert_string_equal(trace, "");
    turn();
    assert_string_equal(trace, "hup ");
}

struct job {
    pthread_t worker;
    pthread_t caller;
};

static void do_job(void *context)
{
    ((struct job *)context)->worker = pthread_self();
}

static void job_done(void *context)
{
    ((struct job *)context)->caller = pthread_self();
    loop_stop(loop);
}

TEST(loop_work__any__works_elsewhere_and_ends_here)
{
    struct job job = {0};
    loop_work(loop, do_job, job_done, &job);
    turn();
    assert_false(pthread_equal(job.worker, pthread_self()));
    assert_true(pthread_equal(job.caller, pthread_self()));
}

static void note_done(void *context)
{
    note(context);
}

static void do_slowly(void *context)
{
    (void)context;
    sleep_ms(50);
}

TEST(loop_close__work_under_way__waits_for_its_end)
{
    struct err err = {0};
    struct loop *other = loop_open(&err);
    assert_non_null(other);
    loop_work(other, do_slowly, note_done, "done");
    loop_close(other);
    assert_string_equal(trace, "done ");
}

TEST(loop_random_bytes__twice__differ)
{
    unsigned char a[32];
    unsigned char b[32];
    loop_random_bytes(loop, a, sizeof a);
    loop_random_bytes(loop, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

/** Short ones are drawn many at a time: none is ever given twice, also where a
 * draw ends within it, and all are filled to their end. */
TEST(loop_random_bytes__many_of_odd_lengths__none_twice)
{
    enum { MANY = 1000 };
    static unsigned char got[MANY][8];
    for (size_t i = 0; i < MANY; i++) {
        unsigned char odd[61] = {0};
        loop_random_bytes(loop, odd, 9 + i % 53);
        memcpy(got[i], odd + 1 + i % 53, 8);
        assert_memory_not_equal(got[i], (unsigned char[8]){0}, 8);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(got[i], got[j], 8);
        }
    }
}

TESTS_RUN(NULL, NULL)
