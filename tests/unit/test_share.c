#include "lib/check.h"
#include "core/share.h"

#define MANY 1000

static struct share_tenant of(int weight, int64_t occupied)
{
    return (struct share_tenant){.weight = weight, .occupied = occupied};
}

static int sum(const struct share_tenant *tenants, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++) {
        n += tenants[i].n;
    }
    return n;
}

TEST_CASE(share_fill__a_free_slot__goes_to_whom_it_is_missing)
{
    struct share_tenant t[] = {of(1, 9), of(1, 0)};
    const struct share share = {.slots = 10, .room = 1};
    share_fill(&share, t, 2);
    assert_int_equal(t[0].n, 0);
    assert_int_equal(t[1].n, 1);
}

TEST_CASE(share_fill__many_free_slots__go_by_weight)
{
    struct share_tenant t[] = {of(1, 0), of(3, 0), of(6, 0)};
    const struct share share = {.slots = 100, .room = 100};
    share_fill(&share, t, 3);
    assert_int_equal(t[0].n, 10);
    assert_int_equal(t[1].n, 30);
    assert_int_equal(t[2].n, 60);
}

/** What others occupy of whom nothing waits is not there to be shared. */
TEST_CASE(share_fill__slots_of_those_who_do_not_wait__are_not_shared)
{
    struct share_tenant t[] = {of(1, 0), of(1, 0)};
    const struct share share = {.slots = 100, .others = 80, .room = 20};
    share_fill(&share, t, 2);
    assert_int_equal(t[0].n, 10);
    assert_int_equal(t[1].n, 10);
}

/** Who is above its part takes what is left all the same. */
TEST_CASE(share_fill__idle_shares__are_handed_on)
{
    struct share_tenant t[] = {of(1, 60)};
    const struct share share = {.slots = 100, .room = 40};
    share_fill(&share, t, 1);
    assert_int_equal(t[0].n, 40);
    struct share_tenant two[] = {of(1, 60), of(2, 90)};
    const struct share over = {.slots = 100, .room = 30};
    share_fill(&over, two, 2);
    assert_int_equal(sum(two, 2), 30); /* to 60 and 120 */
    assert_int_equal(two[0].n, 0);
}

TEST_CASE(share_fill__caps__are_never_exceeded)
{
    struct share_tenant t[] = {of(9, 0), of(1, 0), of(1, 7)};
    t[0].slots = 5;
    t[2].slots = 7; /* it is there already */
    const struct share share = {.slots = 100, .room = 90};
    share_fill(&share, t, 3);
    assert_int_equal(t[0].n, 5);
    assert_int_equal(t[1].n, 85);
    assert_int_equal(t[2].n, 0);
}

/** What a cap leaves is the others', by weight. */
TEST_CASE(share_fill__parts__are_what_caps_leave)
{
    struct share_tenant t[] = {of(9, 0), of(1, 0), of(3, 0), of(3, 0)};
    t[0].slots = 5;
    t[3].slots = 40;
    const struct share share = {.slots = 100, .room = 0};
    share_fill(&share, t, 4);
    assert_true(t[0].part == 5);
    assert_true(t[1].part > 13.7 && t[1].part < 13.8);
    assert_true(t[2].part > 41.2 && t[2].part < 41.3);
    assert_true(t[3].part == 40);
}

TEST_CASE(share_fill__caps_without_a_limit__hold)
{
    struct share_tenant t[] = {of(9, 2), of(1, 0)};
    t[0].slots = 5;
    t[1].slots = 1;
    const struct share share = {.room = 90};
    share_fill(&share, t, 2);
    assert_int_equal(t[0].n, 3);
    assert_int_equal(t[1].n, 1);
}

/** A cap that was lowered below what runs. */
TEST_CASE(share_fill__above_its_cap__takes_none)
{
    struct share_tenant t[] = {of(1, 7)};
    t[0].slots = 2;
    const struct share share = {.slots = 0, .room = 90};
    share_fill(&share, t, 1);
    assert_int_equal(t[0].n, 0);
}

TEST_CASE(share_fill__without_a_limit__shares_what_goes)
{
    struct share_tenant t[] = {of(1, 1000), of(3, 0)};
    const struct share share = {.room = 8};
    share_fill(&share, t, 2);
    assert_int_equal(t[0].n, 2);
    assert_int_equal(t[1].n, 6);
    share_went(&t[0], 2, false);
    share_went(&t[1], 6, false);
    assert_true(t[0].used == t[1].used);
    assert_int_equal(t[0].occupied, 1002);
}

TEST_CASE(share_fill__nobody_or_no_room__gives_none)
{
    struct share_tenant t[] = {of(1, 0)};
    const struct share none = {.slots = 10, .room = 0};
    share_fill(&none, t, 1);
    assert_int_equal(t[0].n, 0);
    share_fill(&none, NULL, 0);
}

/* ---- over time ---- */

struct trial {
    struct share_tenant t[MANY];
    double slot_ms[MANY];
    double went[MANY];
    int64_t ends[4 * MANY]; /* of what runs; 0: nothing */
    size_t of[4 * MANY];
    uint64_t seed;
};

static uint64_t draw(struct trial *trial)
{
    trial->seed = trial->seed * UINT64_C(6364136223846793005) + 1442695041;
    return trial->seed >> 33;
}

/** All always wait; whose tasks take so long is drawn around `ms` of each. */
static void run(struct trial *trial, size_t len, size_t slots,
                const int64_t *ms, int64_t steps, bool limited)
{
    double least = 0;
    for (int64_t now = 1000; now <= steps * 1000; now += 1000) {
        size_t free = 0;
        for (size_t i = 0; i < slots; i++) {
            if (trial->ends[i] && trial->ends[i] <= now) {
                trial->ends[i] = 0;
                trial->t[trial->of[i]].occupied--;
            }
            free += trial->ends[i] == 0;
        }
        const struct share share = {.slots = limited ? (int64_t)slots : 0,
                                    .room = (int)free};
        share_fill(&share, trial->t, len);
        assert_int_equal(sum(trial->t, len), free);
        for (size_t i = 0, at = 0; i < len; i++) {
            for (int n = 0; n < trial->t[i].n; n++) {
                while (trial->ends[at]) {
                    at++;
                }
                trial->of[at] = i;
                trial->ends[at] =
                    now + ms[i] / 2 + (int64_t)(draw(trial) % (uint64_t)ms[i]);
            }
            share_went(&trial->t[i], trial->t[i].n, limited);
            trial->went[i] += trial->t[i].n;
        }
        for (size_t i = 0; i < len; i++) {
            trial->slot_ms[i] += (double)trial->t[i].occupied * 1000;
        }
        if (limited) {
            share_passed(trial->t, len, 1000);
        }
        least = share_level(trial->t, len, least);
    }
}

/** Within 5 % of its part. */
static void check_part(const double *had, size_t len, size_t i, double part)
{
    double all = 0;
    for (size_t k = 0; k < len; k++) {
        all += had[k];
    }
    const double had_part = had[i] / all;
    if (had_part < part * 0.95 || had_part > part * 1.05) {
        print_error("%zu had %.4f, not %.4f\n", i, had_part, part);
        fail();
    }
}

static struct trial *trial_of(uint64_t seed)
{
    struct trial *trial = calloc(1, sizeof *trial);
    assert_non_null(trial);
    trial->seed = seed;
    return trial;
}

TEST_CASE(shares__of_slots__are_those_of_the_weights)
{
    static const int weights[] = {1, 2, 3, 14};
    /* Who has longer tasks has no more slots for it. */
    static const int64_t ms[] = {240000, 10000, 60000, 30000};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct trial *trial = trial_of(seed);
        for (size_t i = 0; i < 4; i++) {
            trial->t[i] = of(weights[i], 0);
        }
        run(trial, 4, 40, ms, 4000, true);
        for (size_t i = 0; i < 4; i++) {
            check_part(trial->slot_ms, 4, i, weights[i] / 20.0);
        }
        free(trial);
    }
}

/** More tenants than slots: in turns. */
TEST_CASE(shares__below_a_slot__are_those_of_the_weights)
{
    struct trial *trial = trial_of(7);
    static int64_t ms[MANY];
    double weights = 0;
    for (size_t i = 0; i < MANY; i++) {
        trial->t[i] = of(1 + (int)(i % 4), 0);
        weights += trial->t[i].weight;
        ms[i] = i % 3 ? 20000 : 40000;
    }
    run(trial, MANY, 100, ms, 6000, true);
    double had[4] = {0}; /* of those of a weight: one tenant's tasks are few */
    for (size_t i = 0; i < MANY; i++) {
        had[i % 4] += trial->slot_ms[i];
        assert_true(trial->went[i] > 0);
    }
    for (size_t i = 0; i < 4; i++) {
        check_part(had, 4, i, (double)(i + 1) * MANY / 4 / weights);
    }
    free(trial);
}

TEST_CASE(shares__of_submissions__are_those_of_the_weights)
{
    struct trial *trial = trial_of(3);
    static const int64_t ms[] = {40000, 2000};
    trial->t[0] = of(1, 0);
    trial->t[1] = of(9, 0);
    run(trial, 2, 10, ms, 2000, false);
    check_part(trial->went, 2, 0, 0.1);
    check_part(trial->went, 2, 1, 0.9);
    free(trial);
}

/* ---- what is made up for ---- */

TEST_CASE(share_level__who_was_away__makes_up_for_nothing)
{
    struct share_tenant t[] = {of(1, 0), of(1, 0), of(1, 0)};
    t[0].used = 500;
    t[1].used = 400;
    t[2].used = 10;
    assert_true(share_level(t, 3, 300) == 300);
    assert_true(t[2].used == 300);
    assert_true(t[1].used == 400);
}

/** Its cap is no debt of the others. */
TEST_CASE(share_level__who_was_kept_back_by_its_cap__does_not_count)
{
    struct share_tenant t[] = {of(1, 2), of(1, 20)};
    t[0].slots = 2;
    t[0].used = 100;
    t[1].used = 900;
    const struct share share = {.slots = 22, .room = 0};
    share_fill(&share, t, 2);
    assert_true(share_level(t, 2, 0) == 900);
    assert_true(t[0].used == 900);
}

TEST_CASE(share_passed__counts_time_by_weight)
{
    struct share_tenant t[] = {of(2, 3)};
    share_passed(t, 1, 1000);
    assert_true(t[0].used == 1500);
    share_went(&t[0], 2, true);
    assert_true(t[0].used == 1500);
    assert_int_equal(t[0].occupied, 5);
}

TESTS_RUN(NULL, NULL)
