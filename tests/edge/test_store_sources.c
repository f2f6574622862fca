#include "edge/store_trial.h"

#include "edge/sources.h"

struct sources_answer {
    struct trial *trial;
    struct err err;
    enum source_state states[16];
    char account[ACCOUNT_NAME_BYTES]; /* of the first */
    size_t known;                     /* of how many it is */
    size_t len;
};

static void on_sources(void *context, const struct source *sources, size_t len,
                       const struct err *err)
{
    struct sources_answer *answer = context;
    if (err) {
        answer->err = *err;
    } else {
        snprintf(answer->account, sizeof answer->account, "%.*s",
                 (int)sources[0].account.len, sources[0].account.at);
    }
    for (size_t i = 0; !err && i < len; i++) {
        answer->states[i] = sources[i].state;
        answer->known += sources[i].account.at != NULL;
    }
    answer->len = len;
    loop_stop(answer->trial->loop);
}

TEST(sources__ours_and_others__are_told_apart)
{
    struct trial *trial = *state;
    static const struct {
        const char *id;
        int state;
        int kind;
        enum source_state expected;
    } cases[] = {
        {"task-running", RUNNING, 0, SOURCE_UNFINISHED},
        {"task-late", LATE, FAILURE_TIMED_OUT, SOURCE_UNFINISHED},
        {"task-ready", READY, 0, SOURCE_FINISHED},
        {"task-succeeded", SUCCEEDED, 0, SOURCE_FINISHED},
        {"task-failed", FAILED, FAILURE_PROVIDER_FAILED, SOURCE_FAILED},
        {"closed-good", CLOSED, 0, SOURCE_FINISHED},
        {"closed-failed", CLOSED, FAILURE_MODERATION, SOURCE_FAILED},
        {"closed-expired", CLOSED, FAILURE_ASSET_EXPIRED, SOURCE_FINISHED},
        {"closed-unusable", CLOSED, FAILURE_ASSET_UNUSABLE, SOURCE_FINISHED},
        {"past", CLOSED, 0, SOURCE_FOREIGN}, /* of an earlier submission */
        {"nobody's", -1, 0, SOURCE_FOREIGN},
    };
    enum { LEN = sizeof cases / sizeof *cases };
    struct str ids[LEN];
    int64_t me = trial_join(trial);
    const int64_t *rows = trial_requests(trial, LEN);
    trial_good_turn(trial, (struct turn){.owner = me, .claims_max = LEN});
    for (int i = 0; i < LEN; i++) {
        ids[i] = str_of(cases[i].id);
        if (cases[i].state >= 0) {
            trial_sql(trial,
                      "UPDATE task SET provider_task_id = '%s', state = %d, "
                      "kind = %d, owner = 1 WHERE id = %lld",
                      cases[i].id, cases[i].state, cases[i].kind,
                      (long long)rows[i]);
        }
    }
    trial_sql(trial, "WITH d AS (DELETE FROM task WHERE state = 7 RETURNING *) "
                     "INSERT INTO closed SELECT * FROM d");
    trial_sql(trial, "WITH d AS (DELETE FROM closed WHERE provider_task_id = "
                     "'past' RETURNING *) INSERT INTO past SELECT * FROM d");
    struct sources_answer answer = {.trial = trial};
    store_sources(trial->store, ids, LEN, on_sources, &answer);
    trial_wait(trial);
    assert_int_equal(answer.err.kind, ERR_NONE);
    assert_int_equal(answer.len, LEN);
    for (int i = 0; i < LEN; i++) {
        assert_int_equal(answer.states[i], cases[i].expected);
    }
    assert_string_equal(answer.account, "trial");
    assert_int_equal(answer.known, LEN - 1);
}

TESTS_RUN(NULL, NULL)
