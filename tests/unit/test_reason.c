#include "lib/check.h"

#include "core/reason.h"

#include <string.h>

#define NOW INT64_C(1795327200000)

static struct step at(enum task_state state, bool result)
{
    struct step step = {.due_ms = NOW + 5000};
    step.next.row.state = state;
    step.next.row.result = result ? (char *)"[]" : NULL;
    return step;
}

TEST_CASE(reason_act__each_outcome__says_what_it_means)
{
    static const struct {
        enum task_state from;
        enum outcome_kind kind;
        enum task_state to;
        bool result;
        enum reason_act act;
    } cases[] = {
        {QUEUED, OUTCOME_TIME_UP, FAILED, false, REASON_OVER},
        {SUBMITTING, OUTCOME_ACCEPTED, RUNNING, false, REASON_OVER},
        {SUBMITTING, OUTCOME_PUT_OFF, QUEUED, false, REASON_OVER},
        {SUBMITTING, OUTCOME_PUT_OFF, SUBMITTING, false, REASON_NOTED},
        {SUBMITTING, OUTCOME_NOT_SENT, SUBMITTING, false, REASON_NOTED},
        {SUBMITTING, OUTCOME_REFUSED, SUBMITTING, false, REASON_NOTED},
        {SUBMITTING, OUTCOME_UNANSWERED, SUBMITTING, false, REASON_NOTED},
        {SUBMITTING, OUTCOME_INDETERMINATE, SUBMITTING, false, REASON_NOTED},
        {SUBMITTING, OUTCOME_TAKEN_OVER, SUBMITTING, false, REASON_NOTED},
        {SUBMITTING, OUTCOME_TIME_UP, SUBMITTING, false, REASON_STAYS},
        {SUBMITTING, OUTCOME_REPLAY_INTENT, SUBMITTING, false, REASON_STAYS},
        {RUNNING, OUTCOME_MISSED, RUNNING, false, REASON_NOTED},
        {RUNNING, OUTCOME_DENIED, RUNNING, false, REASON_NOTED},
        {RUNNING, OUTCOME_STILL_RUNNING, RUNNING, false, REASON_OVER},
        {RUNNING, OUTCOME_TAKEN_OVER, RUNNING, false, REASON_STAYS},
        {RUNNING, OUTCOME_FINISHED, READY, true, REASON_OVER},
        {LATE, OUTCOME_STILL_RUNNING, LATE, false, REASON_OVER},
        {LATE, OUTCOME_MISSED, LATE, false, REASON_NOTED},
        {READY, OUTCOME_FETCH_FAILED, READY, true, REASON_NOTED},
        {READY, OUTCOME_FETCH_REFUSED, READY, true, REASON_NOTED},
        {READY, OUTCOME_UNUSABLE, READY, true, REASON_NOTED},
        {READY, OUTCOME_STORE_FAILED, READY, true, REASON_NOTED},
        {READY, OUTCOME_MISSED, READY, true, REASON_NOTED},
        {READY, OUTCOME_FINISHED, READY, true, REASON_STAYS},
        {READY, OUTCOME_FINISHED, READY, false, REASON_NOTED},
        {READY, OUTCOME_STILL_RUNNING, READY, false, REASON_NOTED},
        {READY, OUTCOME_STORED, SUCCEEDED, true, REASON_OVER},
        {SUCCEEDED, OUTCOME_UNANNOUNCED, SUCCEEDED, true, REASON_NOTED},
        {SUCCEEDED, OUTCOME_ANNOUNCED, CLOSED, false, REASON_OVER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct outcome outcome = {.kind = cases[i].kind};
        const struct step step = at(cases[i].to, cases[i].result);
        if (reason_act(cases[i].from, &outcome, &step) != cases[i].act) {
            fail_msg("case %zu", i);
        }
    }
}

TEST_CASE(reason_note__tries__are_counted_since_the_first)
{
    struct reason reason = {0};
    struct outcome outcome = {.kind = OUTCOME_FETCH_FAILED,
                              .message = STR("connection refused")};
    const struct step step = at(READY, true);
    reason_note(&reason, &outcome, &step, NOW, NOW + 1);
    outcome.kind = OUTCOME_STORE_FAILED;
    outcome.message = STR("no room");
    outcome.http_status = 507;
    reason_note(&reason, &outcome, &step, NOW + 9, NOW + 20);
    assert_string_equal(reason.word, "store_failed");
    assert_string_equal(reason.answer, "HTTP 507: no room");
    assert_int_equal(reason.tries, 2);
    assert_int_equal(reason.since_ms, NOW);
    assert_int_equal(reason.next_ms, NOW + 20);
    assert_false(reason.shared);
}

TEST_CASE(reason_note__a_hold__is_shared)
{
    struct reason reason = {0};
    const struct outcome outcome = {.kind = OUTCOME_STORE_FAILED};
    struct step step = at(READY, true);
    step.hold = HOLD_STORAGE;
    reason_note(&reason, &outcome, &step, NOW, NOW + 1);
    assert_true(reason.shared);
}

TEST_CASE(reason_note__a_doubt__answered_or_not__are_two_words)
{
    struct outcome outcome = {.kind = OUTCOME_UNANSWERED,
                              .message = STR("names no single task")};
    const struct step step = at(SUBMITTING, false);
    struct reason reason = {0};
    reason_note(&reason, &outcome, &step, NOW, NOW);
    assert_string_equal(reason.word, "unanswered");
    outcome.http_status = 200;
    reason_note(&reason, &outcome, &step, NOW, NOW);
    assert_string_equal(reason.word, "unreadable");
    assert_string_equal(reason.answer, "HTTP 200: names no single task");
    outcome = (struct outcome){.kind = OUTCOME_TAKEN_OVER};
    reason_note(&reason, &outcome, &step, NOW, NOW);
    assert_string_equal(reason.word, "unanswered");
    assert_non_null(strstr(reason.answer, "ended before"));
}

TEST_CASE(reason_answer__any_bytes__are_text_that_fits)
{
    char out[40];
    reason_answer(out, sizeof out, 0, (struct str){0});
    assert_string_equal(out, "");
    reason_answer(out, sizeof out, 503, (struct str){0});
    assert_string_equal(out, "HTTP 503");
    reason_answer(out, sizeof out, 0, STR("a\nb\x7f\xff z"));
    assert_string_equal(out, "a b   z");
    reason_answer(out, sizeof out, 0, (struct str){"a\0b", 3});
    assert_string_equal(out, "a b");
    /* 13 characters of three bytes are 39; one more byte before them cuts. */
    const char *wide = "x"
                       "\xe8\xa7\x86\xe8\xa7\x86\xe8\xa7\x86\xe8\xa7\x86"
                       "\xe8\xa7\x86\xe8\xa7\x86\xe8\xa7\x86\xe8\xa7\x86"
                       "\xe8\xa7\x86\xe8\xa7\x86\xe8\xa7\x86\xe8\xa7\x86"
                       "\xe8\xa7\x86";
    reason_answer(out, sizeof out, 0, str_of(wide));
    assert_int_equal(strlen(out), 37);
    assert_true(str_is_utf8(str_of(out)));
}

TEST_CASE(reason_word__all_of_them__differ)
{
    size_t n = 0;
    for (; reason_word(n); n++) {
        assert_true(n < REASON_WORDS_MAX);
        for (size_t k = 0; k < n; k++) {
            assert_string_not_equal(reason_word(n), reason_word(k));
        }
    }
    assert_int_equal(n, 14);
    for (int i = 0; i < SHARED_REASONS_LEN; i++) {
        assert_true(strlen(shared_reason_name((enum shared_reason)i)) > 0);
    }
}

TESTS_RUN(NULL, NULL)
