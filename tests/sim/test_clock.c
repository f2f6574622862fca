#include "sim/scene.h"

#include "flow/clock.h"

/* PostgreSQL's clock as a worker has it, however long answers take. */

#define AHEAD_MS INT64_C(1700000000000) /* of the boot clock */

static struct world *world;
static struct clock pg;

/** It is asked, stands so far ahead, and the answer takes its time. */
static void ask(int64_t ahead_ms, int64_t there_ms, int64_t back_ms)
{
    const int64_t asked_ms = clock_boot_ms(&pg);
    world_run_for(world, there_ms);
    const int64_t said_ms = clock_boot_ms(&pg) + ahead_ms;
    world_run_for(world, back_ms);
    clock_told(&pg, asked_ms, said_ms);
}

/** By how much the worker's is behind, where PostgreSQL's is so far ahead. */
static int64_t behind_ms(int64_t ahead_ms)
{
    return clock_boot_ms(&pg) + ahead_ms - clock_now_ms(&pg);
}

static void begin(void)
{
    struct err err = {0};
    world = world_open(1);
    clock_init(&pg, loop_open(&err));
    world_run_for(world, 1000);
}

static void end(void)
{
    loop_close(pg.loop);
    close_world(world);
}

/** What happened later is told as later: an event's times are in order. */
TEST_CASE(clock_told__a_slow_answer__sets_nothing_back)
{
    begin();
    ask(AHEAD_MS, 2, 30);
    assert_int_equal(behind_ms(AHEAD_MS), 30);
    const int64_t before_ms = clock_now_ms(&pg);
    ask(AHEAD_MS, 10, 500);
    assert_int_equal(clock_now_ms(&pg) - before_ms, 510);
    end();
}

TEST_CASE(clock_told__a_quick_answer__mends_what_slow_ones_left)
{
    begin();
    ask(AHEAD_MS, 2, 300);
    ask(AHEAD_MS, 40, 1);
    assert_int_equal(behind_ms(AHEAD_MS), 1);
    end();
}

/** An operator, or another server: it is followed both ways. */
TEST_CASE(clock_told__its_clock_was_set__is_followed)
{
    begin();
    ask(AHEAD_MS, 2, 3);
    ask(AHEAD_MS - HOUR_MS, 2, 3);
    assert_in_range(behind_ms(AHEAD_MS - HOUR_MS) + 2, 0, 5);
    ask(AHEAD_MS + HOUR_MS, 2, 3);
    assert_int_equal(behind_ms(AHEAD_MS + HOUR_MS), 3);
    end();
}

TESTS_RUN(NULL, NULL)
