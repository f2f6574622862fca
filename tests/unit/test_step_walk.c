#include "lib/check.h"
#include "lib/rows.h"
#include "unit/step_task.h"

/* Walks through the table: what no single row can show. */

static uint32_t chance(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*seed >> 33);
}

/** A possible outcome other than CLAIMED of a row that is not at hand. */
static enum outcome_kind pick(const struct task *task, uint64_t *seed)
{
    for (;;) {
        enum outcome_kind kind =
            (enum outcome_kind)(chance(seed) % OUTCOMES_LEN);
        bool replay = kind == OUTCOME_REPLAY_INTENT;
        if (step_is_possible(task->row.state, kind) &&
            (!replay || task->row.doubt)) {
            return kind;
        }
    }
}

/** What a takeover can't conclude is written: of what is not, only a doubt and
 * a cost may differ. */
static bool is_lost_unsaved(const struct task_row *before,
                            const struct step *step)
{
    struct task_row known = *before;
    known.doubt = step->next.row.doubt;
    known.has_cost = step->next.row.has_cost;
    known.cost = step->next.row.cost;
    known.credits_cost = step->next.row.credits_cost;
    return !step->save && rows_differ(&known, &step->next.row) != NULL;
}

static void walk(uint64_t seed)
{
    static const enum failure_kind failures[] = {
        FAILURE_INVALID_REQUEST, FAILURE_SUBMIT_REFUSED, FAILURE_MODERATION,
        FAILURE_PROVIDER_FAILED, FAILURE_CANCELLED};
    const struct given fresh = {0};
    const uint64_t name = seed;
    const struct policy policy = usual((enum submit_doubt)(seed % 3));
    struct task task = task_of(QUEUED, &fresh);
    int64_t at = 0;
    int failures_told = 0;
    for (int i = 0; i < 400 && task.row.state != CLOSED; i++) {
        const enum task_state from = task.row.state;
        const int sends = task.row.sends;
        const bool doubt = task.row.doubt;
        enum outcome_kind kind = pick(&task, &seed);
        bool gives_back = kind == OUTCOME_NOT_SENT || kind == OUTCOME_PUT_OFF ||
                          kind == OUTCOME_REFUSED;
        if (from == SUBMITTING && gives_back &&
            (sends == 0 || (doubt && sends < 2))) {
            continue; /* no send is under way that it could answer */
        }
        const struct outcome outcome = {
            .kind = kind,
            .provider_task_id = STR("task_1"),
            .failure = failures[chance(&seed) % 5],
            .same_key = chance(&seed) % 2,
            .hash = STR("abc"),
            .key_running = chance(&seed) % 4 == 0,
            .result = chance(&seed) % 3 ? STR(URL) : (struct str){0},
            .stored_ms = T0 + at,
        };
        at += chance(&seed) % (40 * M);
        const struct task_row before = task.row;
        struct step step = task_step(&task, &outcome, &policy, T0 + at);
        bool lost = is_lost_unsaved(&before, &step);
        task = step.next;
        bool more = task.row.sends > sends && kind != OUTCOME_CLAIMED &&
                    kind != OUTCOME_REPLAY_INTENT &&
                    kind != OUTCOME_INDETERMINATE;
        failures_told += step.settles && task.row.state == FAILED;
        bool forgot = doubt && !task.row.doubt && from == SUBMITTING &&
                      task.row.state != RUNNING;
        bool bad_save = (task.row.state != from) && !step.save;
        if (more || forgot || bad_save || lost || failures_told > 1 ||
            step.due_ms < T0 + at) {
            fail_msg("seed %llu: %s x %s > %s", (unsigned long long)name,
                     task_state_name(from), outcome_kind_name(kind),
                     task_state_name(task.row.state));
        }
    }
    task_row_done(&task.row);
}

TEST_CASE(task_step__walks_of_many_seeds__keep_the_rules)
{
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        walk(seed);
    }
}

static int64_t any_number(uint64_t *seed)
{
    const uint32_t kind = chance(seed) % 6;
    const int64_t wide = ((int64_t)chance(seed) << 20) - (INT64_C(1) << 50);
    return kind == 0 ? 0 : kind == 1 ? -1 : kind == 2 ? T0 : wide;
}

/** A row as nobody of ours writes it: the store may hold what it likes. */
static struct task odd_task(uint64_t *seed)
{
    struct task task = {.row.id = 1};
    struct task_row *row = &task.row;
    row->state = (enum task_state)(chance(seed) % CLOSED);
    row->kind = (enum failure_kind)(chance(seed) % FAILURE_KINDS_LEN);
    row->owner = any_number(seed);
    row->fence = (int32_t)any_number(seed);
    row->sends = (int32_t)(any_number(seed) % 1000);
    row->tries = (int32_t)(any_number(seed) % 1000);
    row->takeovers = (int32_t)(any_number(seed) % 1000);
    row->doubt = chance(seed) % 2;
    row->late = chance(seed) % 2;
    row->billed_open = chance(seed) % 2;
    int64_t *const times[] = {&row->received_ms,   &row->deadline_ms,
                              &row->first_sent_ms, &row->last_sent_ms,
                              &row->submitted_ms,  &row->generated_ms,
                              &row->stored_ms,     &row->settled_ms,
                              &row->not_before_ms, &row->takeovers_since_ms};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        *times[i] = any_number(seed);
    }
    if (chance(seed) % 2) {
        strcpy(row->provider_task_id, "task_1");
    }
    if (chance(seed) % 2) {
        strcpy(row->account, chance(seed) % 2 ? "us" : "them");
    }
    if (chance(seed) % 3 == 0) {
        strcpy(row->unusable, chance(seed) % 2 ? "3 0 abc" : "nonsense");
    }
    if (chance(seed) % 2) {
        row->result = strdup(chance(seed) % 2 ? URL : "no JSON");
    }
    return task;
}

/** Bugs trip asserts, rows never: any row, any outcome that its state takes. */
TEST_CASE(task_step__rows_of_any_kind__trip_nothing)
{
    uint64_t seed = 7;
    for (int i = 0; i < 300000; i++) {
        struct task task = odd_task(&seed);
        const struct policy policy = usual((enum submit_doubt)(i % 3));
        const struct outcome outcome = {
            .kind = pick(&task, &seed),
            .provider_task_id = STR("task_2"),
            .failure = FAILURE_PROVIDER_FAILED,
            .same_key = chance(&seed) % 2,
            .hash = STR("abc"),
            .key_running = chance(&seed) % 4 == 0,
            .result = chance(&seed) % 3 ? STR(URL) : (struct str){0},
        };
        struct step step = task_step(&task, &outcome, &policy, T0);
        assert_true(step.due_ms >= T0);
        task_row_done(&step.next.row);
    }
}

TESTS_RUN(NULL, NULL)
