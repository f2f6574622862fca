/* wraps: uv_poll_start */
#include "edge/store_trial.h"

#include <uv.h>

/* Times are printed, not judged: the machine may be busy. */

static int watched; /* times that libuv was told what to watch */

int __real_uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb on_event);
int __wrap_uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb on_event);
int __wrap_uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb on_event)
{
    watched++;
    return __real_uv_poll_start(poll, events, on_event);
}

TEST(turn__nothing_new_to_watch__tells_epoll_nothing)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 1});
    assert_true(watched > 0); /* that its lanes are read */
    watched = 0;
    for (int i = 0; i < 20; i++) {
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 1});
    }
    assert_int_equal(watched, 0);
}

/** Until the session of the turns has reported what it changed in `task`, and
 * so all that it did before: every second at most, at the end of some
 * transaction; one that stands idle, ten seconds later. */
static int64_t changes_reported(struct trial *trial, int64_t me, int64_t least)
{
    int64_t reported = 0;
    for (int i = 0; i < 600 && reported < least; i++) {
        trial_good_turn(trial, (struct turn){.owner = me, .mine = true});
        reported = trial_number(
            trial,
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM "
            "pg_stat_user_tables WHERE relname = 'task'");
        usleep(reported < least ? 50000 : 0);
    }
    assert_true(reported >= least);
    return reported;
}

TEST(save__many_rows__are_hot)
{
    enum { LEN = 500, ROUNDS = 8 };
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    /* Its snapshots would keep row versions from being pruned. */
    (void)trial_sql(trial, "ALTER TABLE task SET (autovacuum_enabled = off)");
    trial_requests(trial, LEN);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = LEN});
    assert_int_equal(claimed.claimed_len, LEN);
    static struct task_row rows[LEN];
    static const struct task_row *saves[LEN];
    int64_t best_us = INT64_MAX;
    for (int i = 0; i < LEN; i++) {
        rows[i] = claimed.claimed[i].row;
        saves[i] = &rows[i];
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < LEN; i++) {
            rows[i].version++;
            rows[i].state = round % 2 ? RUNNING : READY;
            snprintf(rows[i].provider_task_id, sizeof rows[i].provider_task_id,
                     "task_%d", i);
        }
        int64_t began_us = loop_boot_us(trial->loop);
        struct turn_result result = trial_good_turn(
            trial,
            (struct turn){.owner = me, .saves = saves, .saves_len = LEN});
        int64_t took_us = loop_boot_us(trial->loop) - began_us;
        best_us = took_us < best_us ? took_us : best_us;
        for (int i = 0; i < LEN; i++) {
            assert_int_equal(result.saves[i], SAVE_DONE);
        }
    }
    print_message("%d rows saved in %.1f ms at best\n", LEN,
                  (double)best_us / 1000);
    /* Claimed, then saved. What is asked for is a share. */
    changes_reported(trial, me, (1 + ROUNDS) * LEN);
    const int64_t hot =
        trial_number(trial, "SELECT 100 * n_tup_hot_upd / n_tup_upd FROM "
                            "pg_stat_user_tables WHERE relname = 'task'");
    print_message("%lld%% of the updates are HOT\n", (long long)hot);
    assert_true(hot >= 50);
}

TEST(look_ups__on_a_fresh_table__scan_no_table)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 300);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 200});
    const char *scans =
        "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN "
        "('task', 'waiting', 'request', 'closed')";
    const int64_t changed = changes_reported(trial, me, 200);
    int64_t before = trial_number(trial, scans);
    struct task_row rows[100];
    const struct task_row *saves[100];
    int64_t ids[100];
    for (int i = 0; i < 100; i++) {
        rows[i] = claimed.claimed[i].row;
        rows[i].version++;
        rows[i].state = i % 3 == 0 ? CLOSED : i % 3 == 1 ? RUNNING : QUEUED;
        rows[i].state = i % 9 == 0 ? SUCCEEDED : rows[i].state;
        rows[i].kind = i % 2 ? FAILURE_TIMED_OUT : FAILURE_NONE;
        saves[i] = &rows[i];
        ids[i] = rows[i].id;
    }
    for (int i = 0; i < 10; i++) {
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .saves = saves,
                                             .saves_len = 100,
                                             .facts = ids,
                                             .facts_len = 100,
                                             .rereads = ids,
                                             .rereads_len = 100,
                                             .claims_max = 3});
    }
    struct intake_row again = trial_request(trial, 1);
    assert_int_equal(trial_intake(trial, &again, 1).verdicts[0], INTAKE_REPEAT);
    assert_int_equal(trial_save(trial, me, &rows[1]), SAVE_DONE);
    changes_reported(trial, me, changed + 101);
    assert_int_equal(trial_number(trial, scans), before);
}

TESTS_RUN(NULL, NULL)
