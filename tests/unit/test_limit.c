#include "lib/check.h"
#include "core/limit.h"

#define T0 INT64_C(1800000000000)

static const struct limit_bounds forty = {.floor = 4, .ceiling = 40};
static const struct limit fresh = {0};

/** A request of which nothing was heard before. */
static struct task_row sent(int64_t sent_ms)
{
    return (struct task_row){.fence = 1, .sends = 1, .last_sent_ms = sent_ms};
}

static bool refuse(struct limit *limit, const struct limit_bounds *bounds,
                   int64_t sent_ms, int64_t now_ms)
{
    const struct task_row row = sent(sent_ms);
    struct limit next;
    if (!limit_refused(limit, bounds, &row, now_ms, &next)) {
        return false;
    }
    *limit = next;
    return true;
}

/** Others wait for a slot since full_ms, nothing was refused. */
static bool accept(struct limit *limit, const struct limit_bounds *bounds,
                   int64_t full_ms, int64_t sent_ms, int64_t now_ms)
{
    const struct task_row row = sent(sent_ms);
    const struct limit_seen seen = {.full_ms = full_ms};
    struct limit next;
    if (!limit_taken(limit, bounds, &seen, &row, now_ms, &next)) {
        return false;
    }
    *limit = next;
    return true;
}

TEST_CASE(limit_news_of__by_what_came)
{
    struct outcome outcome = {.kind = OUTCOME_ACCEPTED};
    assert_int_equal(limit_news_of(&outcome), LIMIT_TAKEN);
    outcome = (struct outcome){.kind = OUTCOME_PUT_OFF, .crowded = true};
    assert_int_equal(limit_news_of(&outcome), LIMIT_REFUSED);
    outcome.crowded = false;
    assert_int_equal(limit_news_of(&outcome), LIMIT_NO_NEWS);
    outcome =
        (struct outcome){.kind = OUTCOME_UPSTREAM_FAILED, .overload = true};
    assert_int_equal(limit_news_of(&outcome), LIMIT_NO_NEWS);
    outcome.crowded = true;
    assert_int_equal(limit_news_of(&outcome), LIMIT_REFUSED);
}

TEST_CASE(limit_slots__with_nothing_learnt__are_what_is_set)
{
    static const struct limit_bounds off = {.ceiling = 40};
    const struct limit twelve = {.slots = 12};
    assert_int_equal(limit_slots(&fresh, &forty), 40);
    assert_int_equal(limit_slots(&twelve, &forty), 12);
    assert_int_equal(limit_slots(&twelve, &off), 40);
    assert_true(limit_is_learnt(&twelve, &forty));
    assert_false(limit_is_learnt(&fresh, &forty));
    assert_false(limit_is_learnt(&twelve, &off));
}

/** Settings may have changed since it was stored. */
TEST_CASE(limit_slots__are_within_the_bounds_that_are_set_now)
{
    const struct limit three = {.slots = 3};
    const struct limit fifty = {.slots = 50};
    assert_int_equal(limit_slots(&three, &forty), 4);
    assert_int_equal(limit_slots(&fifty, &forty), 40);
}

TEST_CASE(limit_refused__takes_a_quarter_off)
{
    struct limit limit = fresh;
    assert_true(refuse(&limit, &forty, T0 - 1, T0));
    assert_int_equal(limit.slots, 30);
    assert_int_equal(limit.refused_ms, T0);
    assert_int_equal(limit.changed_ms, T0);
}

TEST_CASE(limit_refused__where_nothing_is_to_be_learnt__is_nothing)
{
    static const struct limit_bounds off = {.ceiling = 40};
    struct limit limit = fresh;
    assert_false(refuse(&limit, &off, T0 - 1, T0));
}

TEST_CASE(limit_refused__once_a_window)
{
    struct limit limit = fresh;
    assert_true(refuse(&limit, &forty, T0 - 1, T0));
    assert_false(refuse(&limit, &forty, T0 + 10, T0 + LIMIT_WINDOW_MS - 1));
    assert_true(refuse(&limit, &forty, T0 + 10, T0 + LIMIT_WINDOW_MS));
    assert_int_equal(limit.slots, 22);
}

/** A fleet had 40 under way when it was refused: they are no news. */
TEST_CASE(limit_refused__of_what_was_sent_before_the_last__is_no_news)
{
    struct limit limit = fresh;
    assert_true(refuse(&limit, &forty, T0 - 1, T0));
    assert_false(refuse(&limit, &forty, T0, T0 + 600000));
    assert_true(refuse(&limit, &forty, T0 + 1, T0 + 600000));
}

TEST_CASE(limit_refused__once_a_request)
{
    struct task_row row = sent(T0 - 1);
    struct limit next;
    assert_true(limit_refused(&fresh, &forty, &row, T0, &next));
    row.fence = 2; /* put off once, or taken over */
    assert_false(limit_refused(&fresh, &forty, &row, T0, &next));
    row = sent(T0 - 1);
    row.attempt = 1;
    assert_false(limit_refused(&fresh, &forty, &row, T0, &next));
    row = sent(T0 - 1);
    row.doubt = true; /* a replay: it may be answered so again and again */
    assert_false(limit_refused(&fresh, &forty, &row, T0, &next));
}

TEST_CASE(limit_refused__never_goes_below_the_floor)
{
    struct limit limit = fresh;
    int64_t now_ms = T0;
    int last = 40;
    while (refuse(&limit, &forty, now_ms - 1, now_ms)) {
        assert_true(limit.slots < last && limit.slots >= forty.floor);
        last = limit.slots;
        now_ms += LIMIT_WINDOW_MS + 1;
    }
    assert_int_equal(last, forty.floor);
}

TEST_CASE(limit_taken__adds_one__and_the_more_the_larger_the_account)
{
    static const struct limit_bounds large = {.floor = 1, .ceiling = 1000};
    const int64_t now_ms = T0 + LIMIT_RAISE_MS;
    struct limit limit = {12, T0, T0};
    assert_true(accept(&limit, &forty, T0 + 1, T0 + 1, now_ms));
    assert_int_equal(limit.slots, 13);
    assert_int_equal(limit.refused_ms, T0);
    assert_int_equal(limit.changed_ms, now_ms);
    limit = (struct limit){12, T0, T0};
    assert_true(accept(&limit, &large, T0 + 1, T0 + 1, now_ms));
    assert_int_equal(limit.slots, 33);
}

TEST_CASE(limit_taken__counts_only_at_the_limit__some_time_after_a_change)
{
    const int64_t late_ms = T0 + LIMIT_RAISE_MS;
    const struct limit twelve = {12, T0 - 1, T0};
    struct limit limit = twelve;
    assert_false(accept(&limit, &forty, T0, T0 + 1, late_ms));
    assert_false(accept(&limit, &forty, T0 + 1, T0, late_ms));
    assert_false(accept(&limit, &forty, T0 + 1, T0 + 1, late_ms - 1));
    const struct task_row row = sent(T0 + 1);
    struct limit_seen seen = {.full_ms = T0 + 1, .refused_ms = T0 + 1};
    struct limit next;
    assert_false(limit_taken(&twelve, &forty, &seen, &row, late_ms, &next));
    seen.refused_ms = T0;
    assert_true(limit_taken(&twelve, &forty, &seen, &row, late_ms, &next));
}

TEST_CASE(limit_taken__at_what_is_set__nothing_is_learnt_any_more)
{
    const int64_t now_ms = T0 + LIMIT_RAISE_MS;
    struct limit limit = {39, T0, T0};
    assert_true(accept(&limit, &forty, T0 + 1, T0 + 1, now_ms));
    assert_int_equal(limit.slots, 0);
    assert_false(accept(&limit, &forty, now_ms + 1, now_ms + 1,
                        now_ms + LIMIT_RAISE_MS));
}

TEST_CASE(limit_is_void__where_less_is_set_by_now)
{
    static const struct limit_bounds off = {.ceiling = 40};
    static const struct limit_bounds ten = {.floor = 1, .ceiling = 10};
    const struct limit twelve = {12, T0 - 5, T0};
    struct limit next;
    assert_false(limit_is_void(&twelve, &forty, T0 + 9, &next));
    assert_false(limit_is_void(&fresh, &off, T0 + 9, &next));
    assert_true(limit_is_void(&twelve, &off, T0 + 9, &next));
    assert_int_equal(next.slots, 0);
    assert_int_equal(next.refused_ms, T0 - 5);
    assert_int_equal(next.changed_ms, T0 + 9);
    assert_true(limit_is_void(&twelve, &ten, T0 + 9, &next));
}

/** What is stored is told apart by it. */
TEST_CASE(limit__no_two_changes_have_one_time__whatever_the_clock_does)
{
    static const struct limit_bounds off = {.ceiling = 40};
    const struct limit twelve = {12, T0 - 5, T0};
    struct limit next;
    assert_true(limit_is_void(&twelve, &off, T0 - 1000, &next));
    assert_int_equal(next.changed_ms, T0 + 1);
}

/* ---- a provider that refuses beyond so many ---- */

struct walk {
    struct limit limit;
    struct limit_seen seen;
    int64_t now_ms;
    int refusals;
    int least;
    int most;
    int writes;
    int64_t lowered_ms;
    int64_t raised_ms;
};

/** A second in which more wait than may go: all slots are used, one more is
 * sent. */
static void step(struct walk *walk, int takes)
{
    const int before = limit_slots(&walk->limit, &forty);
    const struct task_row row = sent(walk->now_ms);
    struct limit next;
    bool changes;
    walk->seen.full_ms = walk->now_ms;
    walk->now_ms += 1000;
    if (before > takes) {
        walk->refusals++;
        walk->seen.refused_ms = walk->now_ms;
        changes =
            limit_refused(&walk->limit, &forty, &row, walk->now_ms, &next);
    } else {
        changes = limit_taken(&walk->limit, &forty, &walk->seen, &row,
                              walk->now_ms, &next);
    }
    if (changes) {
        const int after = limit_slots(&next, &forty);
        int64_t *last = after < before ? &walk->lowered_ms : &walk->raised_ms;
        assert_true(walk->now_ms - *last >=
                    (after < before ? LIMIT_WINDOW_MS : LIMIT_RAISE_MS));
        assert_true(next.changed_ms > walk->limit.changed_ms);
        *last = walk->now_ms;
        walk->limit = next;
        walk->writes++;
    }
    const int now = limit_slots(&walk->limit, &forty);
    assert_in_range(now, forty.floor, forty.ceiling);
    walk->least = now < walk->least ? now : walk->least;
    walk->most = now > walk->most ? now : walk->most;
}

static void walk_on(struct walk *walk, int takes, int seconds)
{
    walk->refusals = walk->writes = walk->most = 0;
    walk->least = forty.ceiling;
    for (int i = 0; i < seconds; i++) {
        step(walk, takes);
    }
}

TEST_CASE(limit__finds_what_is_taken__stays_near__and_comes_back)
{
    for (int takes = 4; takes < 40; takes++) {
        struct walk walk = {.now_ms = T0};
        walk_on(&walk, takes, 120); /* finds it */
        assert_true(limit_slots(&walk.limit, &forty) <= takes);
        walk_on(&walk, takes, 3600); /* stays near */
        assert_true(walk.most <= takes + 1);
        assert_true(walk.least >= (takes + 1) * 3 / 4 - 1);
        assert_true(walk.refusals <= 3600 / 30);
        assert_true(walk.writes <= 4 * 60);
        walk_on(&walk, 40, 40 * 30); /* comes back */
        assert_int_equal(walk.limit.slots, 0);
        assert_int_equal(walk.refusals, 0);
    }
}

TESTS_RUN(NULL, NULL)
