/* wraps: malloc_trim */
#include "sim/scene.h"

#include <malloc.h>
#include <stdlib.h>

/* What comes in on the request topic. */

TEST_CASE(a_request__delivered_twice__is_made_once)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    for (int i = 0; i < 8; i++) {
        world_ask(world, "a");
    }
    until_closed(world, MINUTE_MS);
    world_ask(world, "a");
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed"), 1);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    node_free(w1);
    node_free(w2);
    close_world(world);
}

TEST_CASE(a_request__with_faults__ends_in_an_event)
{
    struct world *world = world_open(2);
    struct node *w1 = node_start(world, "w1", NULL);
    kafka_request(world, "{\"request_id\":\"a\",\"request\":{\"prompt\":\"\","
                         "\"duration\":20}}");
    until_closed(world, MINUTE_MS);
    told(world, "w1: a > failed\n"
                "event a failed invalid_request\n"
                "w1: a failed > closed (ANNOUNCED)\n");
    assert_non_null(strstr(world->kafka->records[0].value, "\"duration\""));
    node_free(w1);
    close_world(world);
}

TEST_CASE(an_id__used_again_for_something_else__is_rejected)
{
    struct world *world = world_open(3);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    kafka_request(world,
                  "{\"request_id\":\"a\",\"request\":{\"prompt\":\"b\"}}");
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected k request_id_reused"), 1);
    assert_int_equal(world->provider->sales_len, 1);
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_message__older_than_ids_are_known__is_rejected_unless_it_is_known)
{
    struct world *world = world_open(31);
    struct stage_options options = node_options();
    options.days = (struct history_days){.history = 1, .ids = 2};
    struct node *w1 = node_start(world, "w1", &options);
    const int64_t two_days_ms = 2 * HISTORY_DAY_MS;
    world->kafka->produced_ms = world_clock_ms(world) - two_days_ms + MINUTE_MS;
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    world->kafka->produced_ms = world_clock_ms(world) - two_days_ms - MINUTE_MS;
    world_ask(world, "a");
    world_ask(world, "b");
    world_run_for(world, MINUTE_MS);
    const struct kafka *kafka = world->kafka;
    const char *headers = kafka->records[kafka->records_len - 1].headers;
    assert_int_equal(times_told(world, "rejected k too_old"), 1);
    assert_non_null(strstr(headers, "error_detail=no such id is known"));
    assert_int_equal(world->provider->sales_len, 1);
    node_free(w1);
    close_world(world);
}

TEST_CASE(messages__that_name_no_request__are_rejected)
{
    struct world *world = world_open(4);
    struct node *w1 = node_start(world, "w1", NULL);
    kafka_request(world, "not JSON");
    kafka_request(world, "{\"request\":{\"prompt\":\"a\"}}");
    kafka_request(world, "{\"request_id\":\"/a\"}");
    world_run_for(world, MINUTE_MS);
    const struct kafka *kafka = world->kafka;
    int details = 0;
    for (size_t i = 0; i < kafka->records_len; i++) {
        const char *headers = kafka->records[i].headers;
        details += strstr(headers, "error_detail=") != NULL;
        if (strstr(headers, "error=not_json")) {
            assert_non_null(strstr(headers, "error_detail=line 1, byte 3: "));
        }
    }
    assert_int_equal(details, 1);
    assert_int_equal(times_told(world, "rejected k not_json"), 1);
    assert_int_equal(times_told(world, "rejected k no_request_id"), 1);
    assert_int_equal(times_told(world, "rejected k bad_request_id"), 1);
    assert_int_equal(world->tables->len, 0);
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_trace__that_is_malformed__is_dropped_alone)
{
#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    const struct message_header bad = {STR("traceparent"), STR("00-\0af")};
    const struct message_header headers[][3] = {
        {bad, {STR("tracestate"), STR("a=1")}},
        {bad,
         {STR("TraceParent"), STR(PARENT)},
         {STR("tracestate"), STR("a=\0")}},
    };
    for (size_t i = 0; i < 2; i++) {
        struct world *world = world_open(4);
        struct node *w1 = node_start(world, "w1", NULL);
        world->kafka->headers = headers[i];
        world->kafka->headers_len = 2 + i;
        world_ask(world, "a");
        until_closed(world, MINUTE_MS);
        const struct intake_row *row =
            &tables_find(world->tables, "a")->request;
        assert_true(i ? str_eq(row->traceparent, STR(PARENT))
                      : row->traceparent.at == NULL);
        assert_null(row->tracestate.at);
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        node_free(w1);
        close_world(world);
    }
}

#define MANY_HEADERS 200

/** Who replays it finds the message whole. */
TEST_CASE(a_rejection__of_many_headers__repeats_them_all)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    static struct message_header headers[MANY_HEADERS];
    static char names[MANY_HEADERS][16];
    for (size_t i = 0; i < MANY_HEADERS; i++) {
        snprintf(names[i], sizeof names[i], "h-%03zu", i);
        headers[i] = (struct message_header){str_of(names[i]), STR("v")};
    }
    world->kafka->headers = headers;
    world->kafka->headers_len = MANY_HEADERS;
    kafka_request(world, "not JSON");
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected k not_json"), 1);
    assert_int_equal(world->kafka->records_len, 1);
    for (size_t i = 0; i < MANY_HEADERS; i++) {
        char line[24];
        snprintf(line, sizeof line, "%s=v\n", names[i]);
        assert_non_null(strstr(world->kafka->records[0].headers, line));
    }
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_rejection__the_broker_does_not_take__is_sent_again)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    world->kafka->down = true;
    kafka_request(world, "not JSON");
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected"), 0);
    assert_int_equal(consumer_out(w1->worker.consumer), 1);
    world->kafka->down = false;
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected k not_json"), 1);
    assert_int_equal(consumer_out(w1->worker.consumer), 0);
    node_free(w1);
    close_world(world);
}

/** Another worker has it, as soon as there is one. */
TEST_CASE(a_rejection__that_waits_for_its_next_try__is_given_back_by_a_drain)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    world->kafka->down = true;
    kafka_request(world, "not JSON");
    world_run_for(world, MINUTE_MS);
    assert_int_equal(w1->worker.intake.rejects.under_way, 1);
    node_drain(w1);
    assert_int_equal(w1->worker.intake.rejects.under_way, 0);
    world->kafka->down = false;
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected"), 0);
    node_free(w1);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected k not_json"), 1);
    node_free(w2);
    close_world(world);
}

TEST_CASE(a_batch__whose_commit_is_unknown__is_stored_once)
{
    for (int committed = 0; committed < 2; committed++) {
        struct world *world = world_open(6);
        struct node *w1 = node_start(world, "w1", NULL);
        world_run_for(world, 100);
        tables_lose(world, UNIT_INTAKE, QUEUED, committed);
        world_ask(world, "a");
        world_ask(world, "b");
        world_run_for(world, 1000);
        until_closed(world, MINUTE_MS);
        assert_int_equal(world->tables->len, 2);
        assert_int_equal(world->tables->failed, 1);
        assert_int_equal(times_told(world, "event"), 2);
        assert_int_equal(world->provider->sales_len, 2);
        node_free(w1);
        close_world(world);
    }
}

TEST_CASE(the_urgent__among_many__go_first)
{
    struct world *world = world_open(7);
    world->provider->balance_empty = true; /* so that all of them wait */
    struct stage_options options = node_options();
    options.submits_max = 1;
    struct node *w1 = node_start(world, "w1", &options);
    world_ask_with(world, "low", ",\"priority\":0");
    world_ask(world, "usual");
    world_ask_with(world, "high", ",\"priority\":9");
    world_run_for(world, 10000);
    world->provider->balance_empty = false;
    until_closed(world, 5 * MINUTE_MS);
    const char *text = world->transcript.bytes;
    const char *high = strstr(text, "provider takes high");
    const char *usual = strstr(text, "provider takes usual");
    const char *low = strstr(text, "provider takes low");
    assert_true(high && usual && low);
    assert_true(high < usual && usual < low);
    node_free(w1);
    close_world(world);
}

TEST_CASE(more_than_the_backlog_may_hold__consumption_pauses)
{
    struct world *world = world_open(8);
    world->provider->balance_empty = true;
    struct node *w1 = node_start(world, "w1", NULL);
    w1->worker.intake.options.backlog_max = 20;
    for (int i = 0; i < 200; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    world_run_for(world, 30000);
    assert_true(w1->worker.intake.paused);
    assert_true(world->tables->len < 200);
    world->provider->balance_empty = false;
    world_run_for(world, 10 * MINUTE_MS);
    assert_false(w1->worker.intake.paused);
    assert_int_equal(world->tables->len, 200);
    assert_int_equal(times_told(world, "completed\n"), 200);
    node_free(w1);
    close_world(world);
}

#define MIB 1048576

/** A mebibyte, all but a little: named, and faulty half a million times. */
static char *large_request(int number)
{
    char *text = malloc(MIB);
    int at = sprintf(text,
                     "{\"request_id\":\"big-%d\",\"request\":{\"prompt\":"
                     "\"x\",\"image_urls\":[1",
                     number);
    while (at < MIB - 8) {
        text[at++] = ',';
        text[at++] = '1';
    }
    sprintf(text + at, "]}}");
    return text;
}

/** Turns on until all is idle, looking after each millisecond: what waits stays
 * within its budget, and so does what a turn reads. */
static void look_while(struct world *world, struct node *node, int64_t for_ms)
{
    int64_t max = node->worker.intake.options.bytes_max;
    for (int64_t ms = 0; ms < for_ms; ms++) {
        world_run_for(world, 1);
        assert_true(node->worker.intake.bytes <= max + 2 * MIB);
        assert_true(node->worker.intake.batches[0].bytes <= 2000000 + MIB);
        assert_true(node->worker.intake.batches[1].bytes <= 2000000 + MIB);
        assert_true(node->worker.intake.turn_bytes <= 2 * MIB);
    }
}

TEST_CASE(forty_of_a_mebibyte__are_read_a_few_in_a_turn)
{
    struct world *world = world_open(9);
    struct node *w1 = node_start(world, "w1", NULL);
    w1->worker.intake.options.bytes_max = 8 * MIB;
    for (int i = 0; i < 40; i++) {
        char *text = large_request(i);
        kafka_request(world, text);
        free(text);
    }
    look_while(world, w1, 5000);
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "failed invalid_request"), 40);
    assert_int_equal(w1->worker.intake.bytes, 0);
    assert_false(w1->worker.intake.paused);
    node_free(w1);
    close_world(world);
}

/** Rejections and requests alike, while what takes them is away. */
TEST_CASE(what_waits__is_bounded_by_its_bytes)
{
    struct world *world = world_open(10);
    struct node *w1 = node_start(world, "w1", NULL);
    w1->worker.intake.options.bytes_max = 2 * MIB;
    world_run_for(world, 1000);
    world->kafka->down = true; /* takes no rejection */
    for (int i = 0; i < 200; i++) {
        char text[31001];
        memset(text, 'x', 31000);
        text[31000] = '\0';
        kafka_request(world, text);
    }
    look_while(world, w1, 2000);
    assert_true(w1->worker.intake.paused);
    assert_true(w1->worker.intake.rejects.bytes <= 2 * MIB);
    assert_true(consumer_out(w1->worker.consumer) < 100);
    world->kafka->down = false;
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected k not_json"), 200);

    tables_away(world, 10000);
    world_run_for(world, 100);
    for (int i = 0; i < 200; i++) {
        char text[31001];
        int at = sprintf(text,
                         "{\"request_id\":\"r%d\",\"request\":{\"prompt\":"
                         "\"x\",\"negative_prompt\":\"",
                         i);
        memset(text + at, 'x', 30000);
        sprintf(text + at + 30000, "\"}}");
        kafka_request(world, text);
    }
    look_while(world, w1, 2000);
    assert_true(w1->worker.intake.paused);
    assert_true(consumer_out(w1->worker.consumer) < 100);
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "failed invalid_request"), 200);
    assert_int_equal(w1->worker.intake.bytes, 0);
    assert_false(w1->worker.intake.paused);
    node_free(w1);
    close_world(world);
}

/** At fault, so that nothing but the intake has work with them. */
static void ask_many(struct world *world, int len)
{
    for (int i = 0; i < len; i++) {
        char text[80];
        snprintf(text, sizeof text,
                 "{\"request_id\":\"r%d\",\"request\":{\"prompt\":\"\"}}", i);
        kafka_request(world, text);
    }
}

static bool are_both_asked(void *context)
{
    const struct node *node = context;
    const struct batch *batches = node->worker.intake.batches;
    return batches[0].stage == BATCH_ASKED && batches[1].stage == BATCH_ASKED;
}

TEST_CASE(two_batches__are_in_the_store_at_once)
{
    struct world *world = world_open(11);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    world->tables->slow_ms = 3000;
    ask_many(world, 700);
    assert_true(world_run_until(world, are_both_asked, w1, MINUTE_MS));
    world->tables->slow_ms = 0;
    const struct batch *batches = w1->worker.intake.batches;
    assert_true(batch_is_full(&batches[0]) || batch_is_full(&batches[1]));
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "failed invalid_request"), 700);
    assert_int_equal(consumer_out(w1->worker.consumer), 0);
    node_free(w1);
    close_world(world);
}

/** One that is not full waits for the first: a commit less. */
TEST_CASE(a_second_batch__goes_when_it_is_full)
{
    struct world *world = world_open(12);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    world->tables->slow_ms = 3000;
    ask_many(world, 400);
    assert_false(world_run_until(world, are_both_asked, w1, MINUTE_MS));
    assert_int_equal(world->tables->len, 400);
    node_free(w1);
    close_world(world);
}

/** The first of an id wins, also where its batch has to go again. */
TEST_CASE(an_id_used_again_in_the_next_batch__waits_for_the_first)
{
    struct world *world = world_open(13);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    world->tables->slow_ms = 3000;
    tables_lose(world, UNIT_INTAKE, QUEUED, false);
    kafka_request(world,
                  "{\"request_id\":\"twin\",\"request\":{\"prompt\":\"1\"}}");
    world_run_for(world, 1000);
    for (int i = 0; i < 8; i++) { /* some partition's are in the next batch */
        kafka_request(
            world, "{\"request_id\":\"twin\",\"request\":{\"prompt\":\"2\"}}");
    }
    ask_many(world, 700);
    world_run_for(world, 20000);
    world->tables->slow_ms = 0;
    until_closed(world, 5 * MINUTE_MS);
    world_run_for(world, MINUTE_MS);
    assert_int_equal(world->tables->len, 701);
    assert_int_equal(times_told(world, "rejected k request_id_reused"), 8);
    const struct str body = tables_find(world->tables, "twin")->request.body;
    assert_true(body.len > 0);
    assert_non_null(strstr(body.at, "\"prompt\":\"1\""));
    assert_int_equal(consumer_out(w1->worker.consumer), 0);
    node_free(w1);
    close_world(world);
}

TEST_CASE(two_batches__in_a_drain__pass_no_offset_unstored)
{
    for (int lost = 0; lost < 2; lost++) {
        struct world *world = world_open(14);
        struct node *w1 = node_start(world, "w1", NULL);
        world_run_for(world, 1000);
        if (lost) {
            tables_lose(world, UNIT_INTAKE, QUEUED, false);
        }
        world->tables->slow_ms = 3000;
        ask_many(world, 700);
        assert_true(world_run_until(world, are_both_asked, w1, MINUTE_MS));
        world->tables->slow_ms = 0;
        const struct batch *batches = w1->worker.intake.batches;
        const size_t expected = batches[1].len + (lost ? 0 : batches[0].len);
        node_drain(w1);
        assert_true(world_run_until(world, node_is_drained, w1, MINUTE_MS));
        assert_int_equal(world->tables->len, expected);
        node_free(w1);
        struct node *w2 = node_start(world, "w2", NULL);
        until_closed(world, 5 * MINUTE_MS);
        assert_int_equal(world->tables->len, 700);
        assert_int_equal(times_told(world, "failed invalid_request"), 700);
        node_free(w2);
        close_world(world);
    }
}

#define CANCEL(id, more) "{\"request_id\":\"" id "\",\"cancel\":true" more "}"

TEST_CASE(a_cancel__before_its_request__ends_it_unsold_whenever_it_comes)
{
    static const int64_t waits_ms[] = {0, 3000, 24 * HOUR_MS - MINUTE_MS};
    for (size_t i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        struct world *world = world_open(21);
        struct node *w1 = node_start(world, "w1", NULL);
        kafka_request(world, CANCEL("a", ""));
        world_run_for(world, waits_ms[i]);
        world_ask(world, "a");
        world_ask(world, "b");
        until_closed(world, MINUTE_MS);
        assert_int_equal(times_told(world, "event a failed cancelled\n"), 1);
        assert_int_equal(times_told(world, "event b completed\n"), 1);
        assert_int_equal(provider_sold(world->provider, "a"), 0);
        assert_int_equal(times_told(world, "rejected"), 0);
        node_free(w1);
        close_world(world);
    }
}

/** Both in one batch: it holds, whichever stands first. */
TEST_CASE(a_cancel__behind_its_request__in_one_batch__holds)
{
    struct world *world = world_open(22);
    world_ask(world, "a");
    kafka_request(world, CANCEL("a", ""));
    kafka_request(world, CANCEL("a", ",\"tenant\":\"b\""));
    kafka_request(world, CANCEL("a", ""));
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, MINUTE_MS);
    assert_int_equal(provider_sold(world->provider, "a"), 0);
    assert_int_equal(times_told(world, "event a failed cancelled\n"), 1);
    assert_int_equal(times_told(world, "rejected k cancel_other_tenant"), 1);
    assert_int_equal(times_told(world, "rejected"), 1);
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_cancel__a_day_old_or_of_another_tenant__ends_nothing)
{
    struct world *world = world_open(23);
    struct node *w1 = node_start(world, "w1", NULL);
    kafka_request(world, CANCEL("a", ""));
    kafka_request(world, CANCEL("b", ",\"tenant\":\"x\""));
    world_run_for(world, 24 * HOUR_MS + MINUTE_MS);
    world_ask(world, "a");
    world_ask(world, "b");
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(times_told(world, "event b completed\n"), 1);
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_cancel__under_way_and_ended__is_obeyed_and_rejected)
{
    struct world *world = world_open(24);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    world_ask(world, "b");
    until_state(world, "a", RUNNING, MINUTE_MS);
    kafka_request(world, CANCEL("a", ""));
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed cancelled\n"), 1);
    kafka_request(world, CANCEL("a", "")); /* once more: it is cancelled */
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected"), 0);
    kafka_request(world, CANCEL("b", ""));
    kafka_request(world, CANCEL("b", ",\"request\":{}"));
    world_run_for(world, MINUTE_MS);
    assert_int_equal(times_told(world, "rejected k cancel_too_late"), 1);
    assert_int_equal(times_told(world, "rejected k bad_cancel"), 1);
    assert_int_equal(times_told(world, "event"), 2);
    node_free(w1);
    close_world(world);
}

/** Stored, and its offset not: it comes again, and changes nothing. */
TEST_CASE(a_cancel__whose_commit_is_unknown__comes_again)
{
    for (int done = 0; done < 2; done++) {
        struct world *world = world_open(25);
        struct node *w1 = node_start(world, "w1", NULL);
        world_run_for(world, 1000);
        tables_lose(world, UNIT_INTAKE, QUEUED, done);
        kafka_request(world, CANCEL("a", ""));
        world_run_for(world, MINUTE_MS);
        world_ask(world, "a");
        until_closed(world, MINUTE_MS);
        assert_int_equal(times_told(world, "event a failed cancelled\n"), 1);
        assert_int_equal(provider_sold(world->provider, "a"), 0);
        node_free(w1);
        close_world(world);
    }
}

static int trims;

int __wrap_malloc_trim(size_t pad);
int __wrap_malloc_trim(size_t pad)
{
    assert_int_equal(pad, 0);
    trims++;
    return 1;
}

TEST_CASE(memory__after_a_burst__is_given_back_twice)
{
    struct world *world = world_open(9);
    struct node *w1 = node_start(world, "w1", NULL);
    trims = 0;
    for (int i = 0; i < 500; i++) {
        world_ask(world, "a");
    }
    world_run_for(world, MINUTE_MS);
    assert_int_equal(trims, 0); /* hardly a burst */
    for (int i = 0; i < 3000; i++) {
        world_ask(world, "a");
    }
    world_run_for(world, 3 * MINUTE_MS);
    assert_int_equal(trims, 2);
    world_run_for(world, 3 * MINUTE_MS);
    assert_int_equal(trims, 2);
    node_free(w1);
    close_world(world);
}

TESTS_RUN(NULL, NULL)
