/* tests/run: alone */
#include "store_trial.h"

#include "core/event.h"
#include "core/event_pack.h"

/* What the write-ahead log takes in of a task, and how an event is kept. Alone:
 * an open transaction in any database of the cluster keeps dead rows on their
 * pages, and then there is no room for HOT updates. */

#define BATCH 20
#define FIRST 10 /* rounds, until pages are made and full */
#define ROUNDS 20
#define TASKS (ROUNDS * BATCH)
#define TRIES 5
#define MOST 2250 /* bytes a task */

static int set_up(void **state)
{
    trial_setup(state);
    struct trial *trial = *state;
    trial_sql(trial, "CREATE EXTENSION pg_walinspect");
    return 0;
}

/* ---- events ---- */

static char *event_of(struct trial *trial, const struct task_row *row,
                      struct str request_id, struct str metadata,
                      struct str traceparent)
{
    const struct facts facts = {
        .request_id = request_id,
        .tenant = STR("default"),
        .mode = MODE_TEXT,
        .metadata = metadata,
        .warnings = STR("[]"),
        .traceparent = traceparent,
        .received_ms = row->received_ms,
    };
    struct stored_video video = {
        .uri = str_of(arena_printf(
            &trial->arena, "file:///srv/videos/default/2027/01/15/%.*s/0.mp4",
            (int)request_id.len, request_id.at)),
        .bytes = 65536,
        .sha256 = "0123456789abcdef0123456789abcdef"
                  "0123456789abcdef0123456789abcdef",
        .media = {.width = 1280,
                  .height = 720,
                  .duration_ms = 5000,
                  .frame_rate_milli = 24000,
                  .audio = MEDIA_AUDIO_NONE,
                  .codecs = {"avc1.64001f"}},
    };
    char *event =
        event_render(row, &facts, NULL, NULL, &video, 1, NULL, &trial->arena);
    assert_non_null(event);
    return event;
}

static struct task_row settled(const struct task_row *running)
{
    struct task_row row = *running;
    row.state = SUCCEEDED;
    row.generated_ms = row.submitted_ms + 60000;
    row.stored_ms = row.generated_ms + 1500;
    row.settled_ms = row.stored_ms + 5;
    row.has_cost = true;
    row.cost = 0.125;
    row.credits_cost = 12.5;
    row.version++;
    return row;
}

/** As the database keeps it, and what it says when asked. */
static void assert_kept(struct trial *trial, const char *event, size_t most)
{
    trial_sql(trial,
              "DELETE FROM task; DELETE FROM closed; DELETE FROM waiting; "
              "DELETE FROM request");
    const int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = SUCCEEDED;
    row.event = (char *)event;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    const char *const params[] = {event};
    PGresult *same = PQexecParams(
        trial->conn, "SELECT event_text(event) = $1, length(event) FROM closed",
        1, NULL, params, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(same, 0, 0), "t");
    const size_t bytes = (size_t)atoi(PQgetvalue(same, 0, 1));
    PQclear(same);
    print_message("# %zu of %zu bytes\n", bytes, strlen(event));
    assert_in_range(bytes, 1, most);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .mine = true});
    assert_string_equal(result.mine[0].row.event, event);
}

static struct task_row some_row(void)
{
    struct task_row row = {.received_ms = TRIAL_NOW,
                           .submitted_ms = TRIAL_NOW + 1200,
                           .version = 1};
    snprintf(row.account, sizeof row.account, "%s", TRIAL_ACCOUNT);
    snprintf(row.provider_task_id, sizeof row.provider_task_id,
             "task_01JABCDEFGHJKMNPQRSTVWXYZ0");
    return settled(&row);
}

TEST(an_event__of_what_was_completed__takes_half_the_room)
{
    struct trial *trial = *state;
    const struct task_row row = some_row();
    const char *event = event_of(trial, &row, STR("order-1234.clip-1"),
                                 (struct str){0}, (struct str){0});
    assert_kept(trial, event, strlen(event) * 2 / 5);
    event = event_of(
        trial, &row, STR("order-1234.clip-1"),
        STR("{\"order-1234.clip-1\":\"2027-01-15T08:00:00Z\",\"a\":\"Z\"}"),
        STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert_kept(trial, event, strlen(event) / 2);
}

/** What looks like a code is none. */
TEST(an_event__with_odd_bytes__is_kept_as_it_is)
{
    struct trial *trial = *state;
    const struct task_row row = some_row();
    static const char *const odd[] = {"{\"a\":\t1}", "{\"a\":\"\xc2\x84\"}",
                                      "{\"a\":\r\n1}", "{\"a\":\"\xc2\x80\"}"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const char *event = event_of(trial, &row, STR("order-1"),
                                     str_of(odd[i]), (struct str){0});
        assert_kept(trial, event, strlen(event));
        assert_int_equal(trial_number(trial,
                                      "SELECT length(event_text(event)) - "
                                      "length(event) FROM closed"),
                         0);
    }
    assert_kept(trial, "the event", 9);
}

static void assert_text(struct trial *trial, struct str packed,
                        const char *text)
{
    const char *const params[] = {
        arena_copy(&trial->arena, packed.at, packed.len), text};
    PGresult *same = PQexecParams(trial->conn, "SELECT event_text($1) = $2", 2,
                                  NULL, params, NULL, NULL, 0);
    if (strcmp(PQgetvalue(same, 0, 0), "t") != 0) {
        fail_msg("%s", text);
    }
    PQclear(same);
}

/** The database's half of the table is ours: word by word, and with keys and
 * times that words, codes of others and each other stand in. */
TEST(event_text__of_every_word__is_what_was_packed)
{
    struct trial *trial = *state;
    static const char *const keys[] = {"k", "order-1", "text_to_video",
                                       "2027-01-15T08:00", "\",\"tenant\":\""};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        for (size_t i = 0; i < EVENT_WORDS_LEN; i++) {
            const char *text = arena_printf(
                &trial->arena,
                "event/2\nkey 7\n%s\nce_type 26\nvideo.generation.completed\n"
                "ce_id 36\nid\nce_time 24\n2027-01-15T08:00:00.123Z\nvalue 9\n"
                "%s%s%s2027-01-15T08:00:00.123Z2027-01-15T08:59:00.123Z\n",
                keys[k], event_words[i].text, keys[k], event_words[i].text);
            struct buf buf;
            buf_init(&buf, 0);
            const struct str packed = event_pack(str_of(text), &buf);
            assert_true(packed.len < strlen(text));
            assert_true(memmem(packed.at, packed.len, event_words[i].code,
                               event_words[i].code_len));
            assert_text(trial, packed, text);
            buf_done(&buf);
        }
    }
}

/* ---- rows ---- */

#define NULLS                                                                  \
    "concat_ws(' ', num_nulls(cost, credits_cost), num_nulls(deadline_ms, "    \
    "submitted_ms, generated_ms, stored_ms, settled_ms, not_before_ms, "       \
    "takeovers_since_ms), cost)"

/** A cost of 0 is one: what is null counts as the dearest, where the least of
 * it and a bound is taken. */
TEST(save__what_is_not_known_yet__is_null)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    assert_string_equal(trial_sql(trial, "SELECT " NULLS " FROM task"), "2 7");
    row.state = RUNNING;
    row.deadline_ms = 9;
    row.submitted_ms = 8;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(trial_sql(trial, "SELECT " NULLS " FROM task"), "2 5");
    row.state = READY;
    row.has_cost = true;
    row.generated_ms = 7;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(trial_sql(trial, "SELECT " NULLS " FROM task"),
                        "0 4 0");
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .mine = true});
    assert_false(result.mine[0].unreadable);
    assert_int_equal(result.mine[0].row.deadline_ms, 9);
    assert_int_equal(result.mine[0].row.settled_ms, 0);
    assert_true(result.mine[0].row.has_cost);
    assert_true(result.mine[0].row.cost == 0);
}

/* ---- the log ---- */

static void take_in(struct trial *trial, int from)
{
    struct intake_row rows[BATCH];
    for (int i = 0; i < BATCH; i++) {
        rows[i] = trial_request(trial, from + i);
        rows[i].metadata = (struct str){0};
        rows[i].traceparent = (struct str){0};
        rows[i].body = STR("{\"model\":\"pixverse-v6\",\"prompt\":\"r-00001\","
                           "\"duration\":5,\"resolution\":\"720p\","
                           "\"aspect_ratio\":\"16:9\"}");
    }
    assert_int_equal(trial_intake(trial, rows, BATCH).err.kind, ERR_NONE);
}

static void save_all(struct trial *trial, int64_t me, struct task_row *rows)
{
    const struct task_row *saves[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        saves[i] = &rows[i];
    }
    struct turn_result result = trial_good_turn(
        trial, (struct turn){.owner = me, .saves = saves, .saves_len = BATCH});
    for (size_t i = 0; i < BATCH; i++) {
        assert_int_equal(result.saves[i], SAVE_DONE);
    }
}

/** So many at once from their message to their told end. */
static void pass(struct trial *trial, int64_t me, int from)
{
    struct task_row rows[BATCH];
    take_in(trial, from);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = BATCH});
    assert_int_equal(claimed.claimed_len, BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        rows[i] = claimed.claimed[i].row;
        rows[i].state = RUNNING;
        rows[i].version++;
        rows[i].submitted_ms = rows[i].last_sent_ms + 100;
        rows[i].deadline_ms = rows[i].submitted_ms + 3600000;
        snprintf(rows[i].provider_task_id, sizeof rows[i].provider_task_id,
                 "task_01JABCDEFGHJKMNPQRST%05zu", (size_t)from + i);
    }
    save_all(trial, me, rows);
    for (size_t i = 0; i < BATCH; i++) {
        rows[i] = settled(&rows[i]);
        rows[i].event = event_of(trial, &rows[i], claimed.claimed[i].request_id,
                                 (struct str){0}, (struct str){0});
    }
    save_all(trial, me, rows);
    for (size_t i = 0; i < BATCH; i++) {
        rows[i].state = CLOSED;
        rows[i].version++;
    }
    save_all(trial, me, rows);
}

/** Of this database alone, and without whole pages: a checkpoint may come. */
#define LOGGED                                                                 \
    "WITH w AS (SELECT resource_manager || ' ' || record_type AS what, "       \
    "record_length - fpi_length AS bytes, regexp_match(block_ref, "            \
    "'rel [0-9]+/([0-9]+)/([0-9]+)') AS rel FROM "                             \
    "pg_get_wal_records_info('%s', pg_current_wal_flush_lsn())), o AS ("       \
    "SELECT what, bytes, coalesce(c.relname, '') AS relname FROM w "           \
    "LEFT JOIN pg_class c ON c.relfilenode = w.rel[2]::oid "                   \
    "WHERE w.rel[1]::oid = (SELECT oid FROM pg_database WHERE datname = "      \
    "current_database())) "

static void tell(struct trial *trial, const char *since)
{
    char sql[2000];
    snprintf(sql, sizeof sql,
             LOGGED "SELECT relname, what, count(*), sum(bytes) FROM o GROUP "
                    "BY 1, 2 ORDER BY 4 DESC",
             since);
    PGresult *rows = PQexec(trial->conn, sql);
    for (int i = 0; i < PQntuples(rows); i++) {
        print_message("# %-26s %-28s %6.2f %8.1f\n", PQgetvalue(rows, i, 0),
                      PQgetvalue(rows, i, 1),
                      atof(PQgetvalue(rows, i, 2)) / TASKS,
                      atof(PQgetvalue(rows, i, 3)) / TASKS);
    }
    PQclear(rows);
}

/** Rounds from here on, until they are whole; returns the next one. */
static int some_rounds(struct trial *trial, int64_t me, int from, int rounds)
{
    for (int i = from; i < from + rounds; i++) {
        pass(trial, me, i * BATCH);
    }
    return from + rounds;
}

/** Autovacuum writes statistics, and beside it less is pruned. It comes once a
 * minute: of some windows the least counts. */
TEST_CASE_WITH(a_task__from_message_to_told__logs_so_much_and_no_more, set_up,
               trial_teardown)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    int rounds = some_rounds(trial, me, 0, FIRST);
    int64_t bytes = INT64_MAX;
    for (int i = 0; i < TRIES && bytes > MOST; i++) {
        char since[40];
        snprintf(since, sizeof since, "%s",
                 trial_sql(trial, "SELECT pg_current_wal_flush_lsn()"));
        rounds = some_rounds(trial, me, rounds, ROUNDS);
        tell(trial, since);
        bytes =
            trial_number(trial, arena_printf(&trial->arena,
                                             LOGGED "SELECT sum(bytes) FROM o",
                                             since)) /
            TASKS;
        print_message("# %lld bytes a task\n", (long long)bytes);
    }
    assert_in_range(bytes, 1000, MOST);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM closed"),
                     rounds * BATCH);
}

TESTS_RUN(NULL, NULL)
