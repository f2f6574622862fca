#include "edge/loop/uv.h"
#include "edge/pg/pg.h"
#include "edge/store_trial.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>

/* Who is dead, what becomes of its rows, who counts; and how soon a connection
 * is back, whatever its host does. */

/* ---- burials ---- */

TEST(bury__the_counter_has_moved__it_lives)
{
    struct trial *trial = *state;
    int64_t other = trial_join(trial);
    trial_sql(trial, "UPDATE lease SET counter = 7");
    assert_false(trial_bury_at(trial, other, 6));
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM lease WHERE dead"), 0);
    assert_true(trial_bury_at(trial, other, 7));
    assert_false(trial_bury_at(trial, other, 7)); /* dead already */
}

/** The bump commits while the burial waits for its row. */
TEST(bury__a_bump_under_way__it_lives)
{
    struct trial *trial = *state;
    int64_t other = trial_join(trial);
    struct trial_answer answer = {.trial = trial};
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "UPDATE lease SET counter = counter + 1");
    store_bury(trial->store, other, 0, trial_on_done, &answer);
    while (trial_waiter(trial) == 0) {
        if (answer.err.kind != ERR_NONE) { /* it waits for 200 ms: unseen */
            answer = (struct trial_answer){.trial = trial};
            store_bury(trial->store, other, 0, trial_on_done, &answer);
        }
        loop_timer_set(trial->limit, TRIAL_LIMIT_MS);
        (void)uv_run(loop_uv(trial->loop), UV_RUN_NOWAIT);
    }
    trial_sql(trial, "COMMIT");
    trial_await(&answer);
    assert_false(answer.done);
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM lease WHERE dead"), 0);
}

TEST(leave__our_own__needs_no_counter)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct trial_answer answer = {.trial = trial};
    trial_sql(trial, "UPDATE lease SET counter = 7");
    store_leave(trial->store, me, trial_on_done, &answer);
    trial_await(&answer);
    assert_true(answer.done);
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM lease WHERE dead"), 1);
}

/* ---- takeovers ---- */

static struct turn_result adopt(struct trial *trial, int64_t me, int most,
                                int64_t after)
{
    return trial_good_turn(trial, (struct turn){.owner = me,
                                                .adopts_max = most,
                                                .adopt_after = after,
                                                .adopt_begins = after == 0});
}

/** Of a worker that is dead: its lease. */
static int64_t leave_tasks(struct trial *trial, int n)
{
    const int64_t dead = trial_join(trial);
    trial_requests(trial, n);
    trial_good_turn(trial, (struct turn){.owner = dead, .claims_max = n});
    assert_true(trial_bury(trial, dead));
    return dead;
}

TEST(adopt__more_than_asked_for__goes_on_behind_the_last)
{
    struct trial *trial = *state;
    const int64_t dead = leave_tasks(trial, 5);
    const int64_t me = trial_join(trial);
    struct turn_result result = adopt(trial, me, 3, 0);
    assert_int_equal(result.adopted_len, 3);
    assert_int_equal(result.adopts_seen, 3);
    assert_int_equal(result.dead_len, 1);
    assert_int_equal(result.dead[0], dead);
    int64_t last = result.adopt_last;
    assert_int_equal(adopt(trial, me, 3, last + 2).adopts_seen, 0);
    result = adopt(trial, me, 3, last);
    assert_int_equal(result.adopted_len, 2);
    assert_int_equal(result.adopts_seen, 2);
    assert_true(result.adopt_last > last);
    assert_int_equal(result.dead_len, 0); /* that was for the beginning */
}

/** A pass that began in the midst of the table ends where it began. */
TEST(adopt__up_to_an_id__leaves_what_lies_behind_it)
{
    struct trial *trial = *state;
    leave_tasks(trial, 5);
    const int64_t me = trial_join(trial);
    const int64_t third =
        trial_number(trial, "SELECT id FROM task ORDER BY id OFFSET 2 LIMIT 1");
    struct turn turn = {.owner = me, .adopts_max = 9, .adopt_after = third};
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.adopted_len, 2);
    assert_int_equal(result.dead_len, 0);
    turn.adopt_after = 0;
    turn.adopt_until = third - 1;
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.adopts_seen, 2);
    assert_int_equal(result.adopt_last, third - 1);
    turn.adopt_until = third;
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.adopted_len, 1);
    assert_int_equal(result.adopted[0].row.id, third);
}

/** Its lease must not be forgotten: nothing else would lead to that row. */
TEST(adopt__a_row_is_locked__was_seen_and_not_taken)
{
    struct trial *trial = *state;
    leave_tasks(trial, 3);
    const int64_t me = trial_join(trial);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT id FROM task ORDER BY id LIMIT 1 FOR UPDATE");
    struct turn_result result = adopt(trial, me, 9, 0);
    assert_int_equal(result.adopted_len, 2);
    assert_int_equal(result.adopts_seen, 3);
    trial_sql(trial, "COMMIT");
    result = adopt(trial, me, 9, 0);
    assert_int_equal(result.adopted_len, 1);
    assert_int_equal(result.adopts_seen, 1);
}

/** `task` is locked against every look at it, and the turn comes back. */
TEST(forget__the_dead_and_no_others__without_a_look_at_tasks)
{
    struct trial *trial = *state;
    int64_t dead = trial_join(trial);
    int64_t later = trial_join(trial);
    int64_t me = trial_join(trial);
    int64_t ids[] = {dead, me};
    assert_true(trial_bury(trial, dead));
    assert_true(trial_bury(trial, later));
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "LOCK TABLE task IN ACCESS EXCLUSIVE MODE");
    trial_good_turn(trial,
                    (struct turn){.owner = me, .forget = ids, .forget_len = 2});
    trial_sql(trial, "COMMIT");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM lease"), 2);
    assert_int_equal(trial_number(trial, "SELECT id FROM lease WHERE dead"),
                     later);
}

/* ---- the beat and the count ---- */

static void on_beat(void *context, const struct beat_result *result)
{
    struct trial_answer *answer = context;
    answer->beat = *result;
    answer->beat.leases =
        trial_copy(answer->trial, result->leases,
                   result->leases_len * sizeof *result->leases);
    trial_take_err(answer, &result->err);
}

static struct beat_result beat(struct trial *trial, const struct beat *ask)
{
    struct trial_answer answer = {.trial = trial};
    store_beat(trial->store, ask, on_beat, &answer);
    trial_await(&answer);
    assert_int_equal(answer.beat.err.kind, ERR_NONE);
    return answer.beat;
}

TEST(beat__some_leases__reads_those)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t gone = trial_join(trial);
    int64_t other = trial_join(trial);
    (void)trial_join(trial);
    trial_sql(trial, "DELETE FROM lease WHERE id = %lld", (long long)gone);
    int64_t ids[] = {me, gone, other};
    struct beat_result result = beat(
        trial, &(struct beat){.owner = me, .leases = ids, .leases_len = 3});
    assert_int_equal(result.leases_len, 2);
    assert_int_equal(result.leases[0].id, me);
    assert_int_equal(result.leases[0].counter, 1);
    assert_int_equal(result.leases[1].id, other);
}

TEST(count__rows_wait_and_workers_work__is_told_with_beats)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    int64_t dead = trial_join(trial);
    trial_requests(trial, 5);
    trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 2});
    assert_int_equal(
        beat(trial, &(struct beat){.owner = me, .tasks = 2}).queued, 0);
    beat(trial, &(struct beat){.owner = other, .tasks = 40});
    beat(trial, &(struct beat){.owner = dead, .tasks = 500});
    assert_true(trial_bury(trial, dead));
    struct count_result count = trial_count(trial, false);
    assert_true(count.counted);
    assert_int_equal(count.queued, 3);
    assert_int_equal(count.in_flight, 42);
    assert_true(count.oldest_ms > 0);
    assert_int_equal(count.oldest_xmin, -1);
    struct beat_result result = beat(trial, &(struct beat){.owner = me});
    assert_int_equal(result.queued, 3);
    assert_int_equal(result.in_flight, 42);
}

TEST(count__another_one_counts__is_left_to_it)
{
    struct trial *trial = *state;
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT one FROM fleet FOR UPDATE");
    assert_false(trial_count(trial, false).counted);
    trial_sql(trial, "COMMIT");
    assert_true(trial_count(trial, false).counted);
}

/** A dump that goes on: its snapshot is as old as what was written since. */
TEST(count__a_held_snapshot__is_told_in_transactions)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    PGconn *dump = PQconnectdb(trial->url);
    PQclear(PQexec(dump, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
    PQclear(PQexec(dump, "SELECT count(*) FROM lease"));
    for (int i = 0; i < 20; i++) {
        beat(trial, &(struct beat){.owner = me});
    }
    assert_true(trial_count(trial, true).oldest_xmin >= 20);
    PQfinish(dump);
}

/* ---- connections ---- */

/** Nobody accepts: one more than `waiting` may be connected at once. */
static int listen_at(uint16_t *port, int waiting)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, waiting), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/** Its queue is full: further packets are swallowed. */
static void fill_queue(uint16_t port, int *fds, size_t len)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < len; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&at, sizeof at);
    }
}

#define FULL 4
#define TWICE "twice.test"

static int asked_twice;

/** libpq's, too: a name that this machine has at two addresses. */
int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *,
                       struct addrinfo **);
    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        memcpy(&real, &symbol, sizeof real);
    }
    if (!node || strcmp(node, TWICE) != 0) {
        return real(node, service, hints, found);
    }
    asked_twice++;
    struct addrinfo *second = NULL;
    int rc = real("127.0.0.1", service, hints, found);
    if (rc == 0) {
        rc = real("127.0.0.1", service, hints, &second);
        (*found)->ai_next = second; /* freeaddrinfo() goes along the list */
    }
    return rc;
}

/** One that accepts and is silent, then one that swallows packets, then ours:
 * each is given up within half a lease. */
TEST(connect__silent_and_swallowing_hosts__the_next_one_is_tried)
{
    struct trial *trial = *state;
    uint16_t silent;
    uint16_t full;
    int fds[FULL];
    /* Each try leaves a connection at the silent one, where the next must find
     * room: else that one would swallow, too. */
    int listening[] = {listen_at(&silent, SOMAXCONN), listen_at(&full, 0)};
    fill_queue(full, fds, FULL);
    const char *port = trial_sql(trial, "SHOW port");
    const char *folder = PQhost(trial->conn);
    char url[600];
    snprintf(url, sizeof url,
             "host=127.0.0.1,127.0.0.1,%s port=%d,%d,%s dbname=%s user=%s",
             folder, silent, full, port, trial->name, PQuser(trial->conn));
    const struct pg_address address = {.url = url,
                                       .password = PQpass(trial->conn),
                                       .patience = pg_patience_of(1000)};
    struct err err = {0};
    PGconn *conn = NULL;
    int64_t took_ms = 0;
    /* The third has no more time than they: on a busy machine that is short. */
    for (int i = 0; i < 10 && !conn; i++) {
        int64_t began_us = loop_boot_us(trial->loop);
        conn = pg_connect(&address, &err);
        took_ms = (loop_boot_us(trial->loop) - began_us) / 1000;
    }
    if (!conn) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(PQdb(conn), trial->name);
    assert_true(took_ms >= 700); /* 250 to be reached and 500 to answer */
    PQfinish(conn);
    for (size_t i = 0; i < FULL; i++) {
        close(fds[i]);
    }
    close(listening[0]);
    close(listening[1]);
}

/** A name that has two addresses, both of which swallow packets: libpq gives
 * the second one's socket the number of the first, and it has a time of its
 * own all the same. */
TEST(connect__two_addresses_swallow__each_has_its_time)
{
    struct trial *trial = *state;
    uint16_t full;
    int fds[FULL];
    int listening = listen_at(&full, 0);
    fill_queue(full, fds, FULL);
    char url[200];
    snprintf(url, sizeof url, "host=" TWICE " port=%d dbname=x", full);
    const struct pg_address address = {.url = url, .patience = {300, 300}};
    struct err err = {0};
    asked_twice = 0;
    int64_t began_us = loop_boot_us(trial->loop);
    assert_null(pg_connect(&address, &err));
    int64_t took_ms = (loop_boot_us(trial->loop) - began_us) / 1000;
    assert_int_equal(asked_twice, 1);
    assert_true(took_ms >= 590);
    for (size_t i = 0; i < FULL; i++) {
        close(fds[i]);
    }
    close(listening);
}

TEST_CASE(connect__nobody_there__says_why_for_each_kind)
{
    uint16_t port;
    int fds[FULL];
    char url[200];
    struct err err = {0};
    const struct pg_address address = {.url = url, .patience = {100, 100}};
    int listening = listen_at(&port, 0);
    snprintf(url, sizeof url, "host=127.0.0.1 port=%d dbname=x", port);
    assert_null(pg_connect(&address, &err));
    assert_non_null(strstr(err.text, "did not answer within 100 ms"));
    fill_queue(port, fds, FULL);
    assert_null(pg_connect(&address, &err));
    assert_non_null(strstr(err.text, "connection to server at"));
    for (size_t i = 0; i < FULL; i++) {
        close(fds[i]);
    }
    close(listening);
    assert_null(pg_connect(&address, &err));
    assert_non_null(strstr(err.text, "refused"));
    snprintf(url, sizeof url, "postgresql://[");
    assert_null(pg_connect(&address, &err));
    assert_true(err.text[0]);
}

/** However long an outage was: each wait stays below a fifth of a lease. */
TEST_CASE(connect__for_any_lease__waits_are_far_below_it)
{
    for (int64_t lease_ms = 400; lease_ms <= 600000; lease_ms *= 2) {
        const struct pg_patience patience = pg_patience_of(lease_ms);
        assert_in_range(patience.reach_ms, 1, lease_ms / 4);
        assert_in_range(patience.answer_ms, 1, lease_ms / 2);
    }
}

TESTS_RUN(NULL, NULL)
