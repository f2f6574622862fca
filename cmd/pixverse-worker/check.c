#include "commands.h"

#include "base/proxy.h"
#include "core/apimart.h"
#include "core/login.h"
#include "edge/bucket.h"
#include "edge/database.h"
#include "edge/poll.h"
#include "edge/inspect.h"
#include "edge/producer.h"
#include "edge/schema.h"
#include "topics.h"

#include <stdlib.h>
#include <string.h>

/*
 * `check`: each dependency is tried for real, and what is wrong is said in one
 * line each. Faults make the exit status 1; warnings don't.
 */

#define HTTP_MS 15000
#define KAFKA_MS 15000
#define KAFKA_LASTING_MS 3000 /* more brokers may answer otherwise */

struct check {
    const struct settings *settings;
    struct loop *loop;
    const struct proxy *proxy; /* null: none */
    int faults;
    bool answered;
    const char *account; /* that is asked; empty: the only one */
    bool kafka_up;
    bool kafka_lasting; /* it fails for what no wait mends */
    char kafka_why[600];
    struct loop_timer *kafka_timer;
};

/** "provider", and of several accounts which. */
static const char *provider(const struct check *c, const char *what)
{
    static char text[120];
    snprintf(text, sizeof text, "%s%s%s%s", what,
             *c->account ? " (account " : "", c->account,
             *c->account ? ")" : "");
    return text;
}

static void good(const char *what, const char *detail)
{
    printf("ok       %s%s%s\n", what, detail[0] ? ": " : "", detail);
}

static void warn(const char *what, const char *why)
{
    printf("warning  %s: %s\n", what, why);
}

static void fault(struct check *c, const char *what, const char *why)
{
    c->faults++;
    printf("fault    %s: %s\n", what, why);
}

/* ---- PostgreSQL ---- */

static void on_setting(void *context, const char *const *names,
                       const struct str *values, size_t len)
{
    struct check *c = context;
    (void)names;
    if (len != 3) {
        return;
    }
    if (str_eq(values[0], STR("off"))) {
        warn("PostgreSQL",
             "synchronous_commit is off: a crash may forget an intent, and its "
             "video be paid twice");
    } else if (values[1].len && str_eq(values[0], STR("local"))) {
        warn("PostgreSQL",
             "synchronous_commit is local: a failover to the standby may "
             "forget an intent, and its video be paid twice; on waits for it");
    } else if (!values[1].len &&
               database_hosts(c->settings->database_url) > 1) {
        warn("PostgreSQL",
             "DATABASE_URL names several hosts, and synchronous_standby_names "
             "is empty: a failover may forget an intent, and its video be paid "
             "twice; name the standby there");
    }
    if (str_eq(values[2], STR("on"))) {
        fault(c, "PostgreSQL",
              "it is read-only here (a standby?): DATABASE_URL needs the "
              "primary, or both hosts, separated by a comma");
    }
}

/** Restored data under sequences that begin anew: nothing new can be stored. */
static void on_sequence(void *context, const char *const *names,
                        const struct str *values, size_t len)
{
    struct check *c = context;
    char why[600];
    (void)names;
    if (len != 3) {
        return;
    }
    snprintf(
        why, sizeof why,
        "%.*s is at %.*s, and %.*s is taken: new rows are refused or, under "
        "another's number, taken for theirs; stop the workers and run psql "
        "\"$DATABASE_URL\" -c \"SELECT setval('%.*s', %.*s)\"",
        (int)values[0].len, values[0].at, (int)values[1].len, values[1].at,
        (int)values[2].len, values[2].at, (int)values[0].len, values[0].at,
        (int)values[2].len, values[2].at);
    fault(c, "sequence", why);
}

static void check_tables(struct check *c, struct inspect *inspect)
{
    struct err err = {0};
    int faults = c->faults;
    if (!inspect_rows(inspect, "check_synchronous", NULL, 0, on_setting, c,
                      &err)) {
        fault(c, "PostgreSQL", err.text);
    }
    if (!inspect_rows(inspect, "check_sequences", NULL, 0, on_sequence, c,
                      &err)) {
        fault(c, "PostgreSQL", err.text);
    }
    if (faults == c->faults) {
        good("sequences", "ahead of their tables");
    }
}

static void check_postgresql(struct check *c)
{
    struct err err = {0};
    struct schema_state state;
    if (!schema_read(c->settings->database_url, &state, &err)) {
        fault(c, "PostgreSQL", err.text);
        return;
    }
    good("PostgreSQL", "");
    if (!schema_fits(&state, &err)) {
        fault(c, "schema", err.text);
        return;
    }
    good("schema", "fits");
    struct inspect *inspect = inspect_open(c->settings->database_url, &err);
    if (!inspect) {
        fault(c, "PostgreSQL", err.text);
        return;
    }
    check_tables(c, inspect);
    inspect_close(inspect);
}

/* ---- the provider ---- */

static void on_balance(void *context, const struct reply *reply)
{
    struct check *c = context;
    struct arena arena;
    struct str message = {0};
    arena_init(&arena, 4096, 0);
    if (reply->end != REPLY_WHOLE) {
        fault(c, provider(c, "provider"),
              reply->why[0] ? reply->why : reply_end_name(reply->end));
    } else if (reply->status == 401 || reply->status == 403) {
        fault(c, provider(c, "provider"),
              *c->account ? "its key is refused"
                          : "APIMART_API_KEY is refused");
    } else if (!apimart_read_probe(HOLD_BALANCE, reply, &arena, &message)) {
        char text[300];
        snprintf(text, sizeof text, "%.*s", (int)message.len,
                 message.at ? message.at : "");
        fault(c, provider(c, "provider's balance"), text);
    } else {
        good(provider(c, "provider"), "answers, the key is taken");
    }
    arena_done(&arena);
    c->answered = true;
    loop_stop(c->loop);
}

static void on_schema(void *context, const struct reply *reply)
{
    struct check *c = context;
    int64_t retention_ms = 0;
    switch (apimart_read_schema(reply, &retention_ms)) {
    case KEYS_HONOURED:
        good(provider(c, "idempotency keys"),
             "the provider says that it honours them");
        break;
    case KEYS_IGNORED:
        warn(provider(c, "idempotency keys"),
             "the provider does not say that it honours them: "
             "SUBMIT_DOUBT=auto settles doubts");
        break;
    case KEYS_BROKEN: /* only a worker finds that out */
    case KEYS_NO_ANSWER:
        warn(provider(c, "idempotency keys"),
             "the provider gave no answer about them");
        break;
    }
    c->answered = true;
    loop_stop(c->loop);
}

static void ask(struct check *c, struct poller *poller,
                const struct exchange *exchange, http_reply_fn *on_reply)
{
    struct err err = {0};
    c->answered = false;
    if (!poller_send(poller, exchange, HTTP_MS, NULL, on_reply, c, &err)) {
        fault(c, "provider", err.text);
        return;
    }
    loop_run(c->loop);
}

static void ask_account(struct check *c, struct poller *poller,
                        const struct apimart *apimart, struct arena *arena)
{
    struct exchange balance = apimart_ask_balance(apimart, true, arena);
    ask(c, poller, &balance, on_balance);
    struct exchange schema = apimart_ask_schema(apimart, arena);
    ask(c, poller, &schema, on_schema);
}

static void check_provider(struct check *c)
{
    struct err err = {0};
    const char *ca_file = c->settings->apimart_ca_file;
    const struct poller_options options = {
        .connections_max = 1,
        .ca_file = ca_file[0] ? ca_file : NULL,
        .proxy = c->proxy,
    };
    struct poller *poller = poller_open(c->loop, &options, &err);
    if (!poller) {
        fault(c, "provider", err.text);
        return;
    }
    struct arena arena;
    arena_init(&arena, 4096, 0);
    const struct accounts *accounts = configured_accounts();
    for (size_t i = 0; i < accounts->len; i++) {
        c->account = accounts->len > 1 ? accounts->at[i].name : "";
        ask_account(c, poller, &accounts->at[i].keys[0], &arena);
    }
    poller_close(poller);
    arena_done(&arena);
}

/* ---- storage ---- */

static void on_probe(void *context, const struct bucket_result *result)
{
    struct check *c = context;
    if (result->end == BUCKET_DONE) {
        good("storage", result->why[0] ? result->why : "takes and gives");
    } else {
        fault(c, "storage", result->why);
    }
    loop_stop(c->loop);
}

static void check_storage(struct check *c)
{
    struct err err = {0};
    struct bucket *bucket =
        bucket_open(c->loop, str_of(c->settings->storage_url), 1,
                    c->settings->video_max_bytes, c->proxy, &err);
    if (!bucket) {
        fault(c, "storage", err.text);
        return;
    }
    bucket_probe(bucket, on_probe, c);
    loop_run(c->loop);
    bucket_close(bucket);
}

/* ---- Kafka ---- */

static void on_kafka(void *context, bool connected, const char *why)
{
    struct check *c = context;
    const bool lasting = why && login_step_of(str_of(why)).lasting;
    /* What passes, as another address that refuses, doesn't hide what lasts. */
    if (lasting || !c->kafka_lasting) {
        snprintf(c->kafka_why, sizeof c->kafka_why, "%s", why ? why : "");
    }
    if (connected) {
        c->kafka_up = true;
        loop_stop(c->loop);
    } else if (lasting && !c->kafka_lasting && c->kafka_timer) {
        c->kafka_lasting = true;
        loop_timer_set(c->kafka_timer, KAFKA_LASTING_MS);
    }
}

static void stop(void *context)
{
    struct check *c = context;
    loop_stop(c->loop);
}

static void on_topic(void *context, const struct topic_wish *wish,
                     enum topic_end end, const char *why)
{
    char what[300];
    snprintf(what, sizeof what, "topic %s", wish->name);
    switch (end) {
    case TOPIC_THERE:
    case TOPIC_MADE:
        good(what, wish->use == TOPIC_READ ? "may be read" : "may be written");
        break;
    case TOPIC_DOUBTFUL:
        warn(what, why);
        break;
    case TOPIC_FAULT:
        fault(context, what, why);
        break;
    }
}

static void check_topics(struct check *c,
                         const struct kafka_property *properties)
{
    struct err err = {0};
    struct topic_wish wishes[WISHES_MAX];
    const struct topics_options options = {
        .brokers = c->settings->kafka_brokers,
        .group = c->settings->kafka_group,
        .properties = properties,
        .properties_len = c->settings->kafka_conf_len,
    };
    if (!topics_check(&options, wishes, topics_of(c->settings, wishes),
                      on_topic, c, &err)) {
        fault(c, "topics", err.text);
    }
}

/** The step at which it failed, the broker's own words, what to do. */
static void kafka_fault(struct check *c)
{
    const struct login_step step = login_step_of(str_of(c->kafka_why));
    char text[1200];
    snprintf(text, sizeof text, "%s%s%s%s%s", step.name ? step.name : "",
             step.name ? ": " : "",
             c->kafka_why[0] ? c->kafka_why : "no broker answers in 15 s",
             step.name ? "; " : "", step.name ? step.advice : "");
    fault(c, "Kafka", text);
}

static void check_kafka(struct check *c)
{
    const struct settings *s = c->settings;
    struct err err = {0};
    struct kafka_property *properties = properties_of(s);
    struct producer *producer =
        properties ? producer_open(c->loop, s->kafka_brokers, properties,
                                   s->kafka_conf_len, on_kafka, c, &err)
                   : NULL;
    if (!producer) {
        fault(c, "Kafka", err.text);
        free(properties);
        return;
    }
    c->kafka_timer = loop_timer_new(c->loop, stop, c);
    loop_timer_set(c->kafka_timer, KAFKA_MS);
    loop_run(c->loop);
    loop_timer_free(c->kafka_timer);
    c->kafka_timer = NULL;
    if (c->kafka_up) {
        good("Kafka", s->kafka_brokers);
    } else {
        kafka_fault(c);
    }
    producer_close(producer, 1000, stop, c);
    loop_run(c->loop);
    if (c->kafka_up) {
        check_topics(c, properties);
    }
    free(properties);
}

int command_check(const struct settings *settings)
{
    struct proxy proxy;
    struct check c = {
        .settings = settings,
        .proxy = proxy_of(&proxy, settings->proxy_url, settings->proxy_except,
                          settings->proxy_ca_file),
    };
    struct err err = {0};
    c.loop = loop_open(&err);
    if (!c.loop) {
        fprintf(stderr, "check: %s\n", err.text);
        return EXIT_FAILED;
    }
    check_postgresql(&c);
    check_kafka(&c);
    check_provider(&c);
    check_storage(&c);
    loop_close(c.loop);
    explicit_bzero(&proxy, sizeof proxy);
    printf("%d fault%s\n", c.faults, c.faults == 1 ? "" : "s");
    return c.faults ? EXIT_FAILED : EXIT_DONE;
}
