#include "edge/kafka/client.h"

#include "edge/kafka/tokens.h"
#include "edge/loop/uv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/** Events in one turn of the loop; the rest waits for the next. */
#define TURN_EVENTS_MAX 256
/** librdkafka counts a consumer as stuck that isn't polled, events or not. */
#define POLL_MS 1000
/** Three statistics without a broker that is up. */
#define DOWN_MS 3500
/** A broker's refusal that isn't repeated is forgotten after this long. */
#define COMPLAINT_MS 60000

/* Settings */

/** Other names that librdkafka takes for the properties in our rules. */
static const char *own_name(const char *name)
{
    static const char *const same[][2] = {
        {"metadata.broker.list", "bootstrap.servers"},
        {"request.required.acks", "acks"},
        {"delivery.timeout.ms", "message.timeout.ms"},
        {"max.in.flight", "max.in.flight.requests.per.connection"},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (strcmp(name, same[i][0]) == 0) {
            return same[i][1];
        }
    }
    return name;
}

static bool user_may_set(const struct kafka_rule *rules, size_t rules_len,
                         const struct kafka_property *property, struct err *err)
{
    for (size_t i = 0; i < rules_len; i++) {
        const struct kafka_rule *rule = &rules[i];
        if (!rule->fixed || strcmp(rule->name, own_name(property->name)) != 0) {
            continue;
        }
        if (rule->value && strcmp(rule->value, property->value) == 0) {
            continue;
        }
        return err_set(err, ERR_PERMANENT,
                       "the Kafka property %s can't be set: a promise of the "
                       "program depends on %s",
                       property->name,
                       rule->value ? "its own value" : "its absence");
    }
    return true;
}

static bool set_property(rd_kafka_conf_t *conf, const char *name,
                         const char *value, struct err *err)
{
    char text[256] = "";
    switch (rd_kafka_conf_set(conf, name, value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK:
        return true;
    case RD_KAFKA_CONF_UNKNOWN:
        return err_set(err, ERR_PERMANENT, "librdkafka %s knows no property %s",
                       rd_kafka_version_str(), name);
    case RD_KAFKA_CONF_INVALID:
        break;
    }
    /* Its text quotes the value, which may be a secret. */
    return err_set(err, ERR_PERMANENT,
                   "librdkafka doesn't take the value of the Kafka property %s",
                   name);
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_rule *rules,
                                size_t rules_len,
                                const struct kafka_property *properties,
                                size_t properties_len, struct err *err)
{
    assert(rules && strcmp(rules[0].name, "bootstrap.servers") == 0);
    const char *const brokers = rules[0].value;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool debug = false;
    for (size_t i = 0; i < rules_len; i++) {
        if (rules[i].value &&
            !set_property(conf, rules[i].name, rules[i].value, err)) {
            goto failed;
        }
    }
    for (size_t i = 0; i < properties_len; i++) {
        if (strcmp(properties[i].name, "tokens.from") == 0
                ? !kafka_tokens_use(conf, properties[i].value, brokers, err)
                : !user_may_set(rules, rules_len, &properties[i], err) ||
                      !set_property(conf, properties[i].name,
                                    properties[i].value, err)) {
            goto failed;
        }
        debug = debug || strcmp(properties[i].name, "debug") == 0;
    }
    if (!debug) {
        rd_kafka_conf_set_log_cb(conf, NULL); /* errors come as events */
    }
    return conf;
failed:
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                             struct err *err)
{
    char text[256] = "";
    if (!conf) {
        return NULL;
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (!client) {
        rd_kafka_conf_destroy(conf);
        err_set(err, ERR_PERMANENT, "no Kafka client: %s", text);
        return NULL;
    }
    if (!kafka_tokens_serve(client, err)) {
        rd_kafka_destroy(client); /* it has sent nothing */
        return NULL;
    }
    return client;
}

struct kafka_property *
kafka_properties_copy(const struct kafka_property *properties, size_t len)
{
    assert(properties || !len);
    struct kafka_property *copy = calloc(len + 1, sizeof *copy);
    for (size_t i = 0; copy && i < len; i++) {
        copy[i].name = strdup(properties[i].name);
        copy[i].value = strdup(properties[i].value);
        if (!copy[i].name || !copy[i].value) {
            kafka_properties_free(copy, len);
            return NULL;
        }
    }
    return copy;
}

void kafka_properties_free(struct kafka_property *properties, size_t len)
{
    for (size_t i = 0; properties && i < len; i++) {
        free((char *)properties[i].name);
        free((char *)properties[i].value);
    }
    free(properties);
}

/* Events on the loop */

struct kafka_feed {
    rd_kafka_queue_t *queue;
    kafka_event_fn *on_event;
    void *context;
    struct loop_timer *timer;
    uv_poll_t poll;
    int fd; /* librdkafka writes when its queue stops being empty */
    bool serving;
    bool unread;
    bool closed;
};

static void on_poll_closed(uv_handle_t *handle)
{
    struct kafka_feed *feed = handle->data;
    close(feed->fd);
    free(feed);
}

static void feed_end(struct kafka_feed *feed)
{
    assert(feed->closed);
    uv_close((uv_handle_t *)&feed->poll, on_poll_closed);
}

static void serve(void *context)
{
    struct kafka_feed *feed = context;
    assert(!feed->serving);
    feed->serving = true;
    int left = TURN_EVENTS_MAX;
    while (left > 0 && !feed->closed && !feed->unread) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(feed->queue, 0);
        if (!event) {
            break;
        }
        feed->on_event(feed->context, event);
        rd_kafka_event_destroy(event);
        left--;
    }
    feed->serving = false;
    if (feed->closed) {
        rd_kafka_queue_destroy(feed->queue);
        feed_end(feed);
        return;
    }
    if (feed->unread) {
        return;
    }
    /* The descriptor only speaks when the queue was empty, so what the budget
     * left behind has to be asked for. */
    loop_timer_set(feed->timer, left > 0 ? POLL_MS : 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct kafka_feed *feed = poll->data;
    uint64_t count;
    /* Before the queue is read: what comes after writes again. */
    while (read(feed->fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
    serve(feed);
}

struct kafka_feed *kafka_feed_open(struct loop *loop, rd_kafka_queue_t *queue,
                                   kafka_event_fn *on_event, void *context,
                                   struct err *err)
{
    assert(queue && on_event);
    struct kafka_feed *feed = calloc(1, sizeof *feed);
    if (!feed) {
        rd_kafka_queue_destroy(queue);
        err_set(err, ERR_TRANSIENT, "no memory for a Kafka queue");
        return NULL;
    }
    *feed = (struct kafka_feed){
        .queue = queue, .on_event = on_event, .context = context, .fd = -1};
    feed->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    feed->timer = loop_timer_new(loop, serve, feed);
    if (feed->fd < 0 || !feed->timer) {
        err_set(err, ERR_TRANSIENT, "no event descriptor: %s", strerror(errno));
        goto failed;
    }
    int status = uv_poll_init(loop_uv(loop), &feed->poll, feed->fd);
    if (status != 0) {
        err_set(err, ERR_TRANSIENT, "no poll handle: %s", uv_strerror(status));
        goto failed;
    }
    feed->poll.data = feed;
    uv_poll_start(&feed->poll, UV_READABLE, on_readable);
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, feed->fd, &one, sizeof one);
    loop_timer_set(feed->timer, 0);
    return feed;
failed:
    loop_timer_free(feed->timer);
    if (feed->fd >= 0) {
        close(feed->fd);
    }
    rd_kafka_queue_destroy(queue);
    free(feed);
    return NULL;
}

void kafka_feed_leave_unread(struct kafka_feed *feed, bool unread)
{
    if (feed->closed || feed->unread == unread) {
        return;
    }
    feed->unread = unread;
    if (unread) {
        loop_timer_stop(feed->timer);
        uv_poll_stop(&feed->poll);
    } else {
        uv_poll_start(&feed->poll, UV_READABLE, on_readable);
        loop_timer_set(feed->timer, 0);
    }
}

void kafka_feed_close(struct kafka_feed *feed)
{
    if (!feed || feed->closed) {
        return;
    }
    feed->closed = true;
    rd_kafka_queue_io_event_enable(feed->queue, -1, NULL, 0);
    uv_poll_stop(&feed->poll);
    loop_timer_free(feed->timer);
    feed->timer = NULL;
    if (!feed->serving) {
        rd_kafka_queue_destroy(feed->queue);
        feed_end(feed);
    }
}

/* Whether the brokers answer */

void kafka_health_init(struct kafka_health *health, struct loop *loop,
                       const char *topic, consumer_state_fn *on_state,
                       void *context)
{
    *health = (struct kafka_health){
        .loop = loop,
        .on_state = on_state,
        .context = context,
        .topic = topic,
        .since_ms = loop_boot_ms(loop),
    };
}

/** On change, of the reason too: the first one is often not the true one. */
static void tell(struct kafka_health *health, bool connected, const char *why)
{
    assert(why);
    if (health->told && health->connected == connected &&
        (connected || strcmp(health->why, why) == 0)) {
        return;
    }
    health->told = true;
    health->connected = connected;
    snprintf(health->why, sizeof health->why, "%s", connected ? "" : why);
    if (health->on_state) {
        health->on_state(health->context, connected, health->why);
    }
}

static void judge(struct kafka_health *health)
{
    int64_t now_ms = loop_boot_ms(health->loop);
    bool complained = health->complaint_ms != 0 &&
                      now_ms - health->complaint_ms < COMPLAINT_MS;
    if (complained) {
        tell(health, false, health->complaint);
        return;
    }
    if (health->up_ms != 0 && now_ms - health->up_ms < DOWN_MS) {
        const char *refused = health->complaint;
        tell(health, !health->lacks,
             health->lacks && refused[0] ? refused
             : health->lacks             ? health->lacks
                                         : "");
        return;
    }
    if (now_ms - health->since_ms < DOWN_MS) {
        return; /* it may still be connecting */
    }
    /* What a broker has refused and nothing has been good since is the reason,
     * however long ago it said so. */
    tell(health, false,
         health->complaint[0] ? health->complaint
         : health->trouble[0] ? health->trouble
                              : "no broker has answered yet");
}

static bool is_refusal(rd_kafka_resp_err_t code)
{
    static const rd_kafka_resp_err_t refusals[] = {
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
        RD_KAFKA_RESP_ERR__AUTHENTICATION,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i] == code) {
            return true;
        }
    }
    return false;
}

static void complain(struct kafka_health *health, const char *text)
{
    assert(text);
    health->complaint_ms = loop_boot_ms(health->loop);
    snprintf(health->complaint, sizeof health->complaint, "%s%s%s",
             health->topic ? health->topic : "", health->topic ? ": " : "",
             text);
}

static const char no_token[] = "Failed to acquire SASL OAUTHBEARER token";

void kafka_health_error(struct kafka_health *health, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *text = rd_kafka_event_error_string(event);
    /* No token to be had is no broker's word: the last one may still do. */
    const bool away = strncmp(text, no_token, sizeof no_token - 1) == 0;
    if (is_refusal(code) && !away) {
        complain(health, text);
    } else if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        /* "All brokers are down" comes after the words that say why, and
         * librdkafka below 2.11.1 says it of an idle connection too. */
        snprintf(health->trouble, sizeof health->trouble, "%s", text);
    }
    judge(health);
}

void kafka_health_stats(struct kafka_health *health, bool up)
{
    if (up) {
        health->up_ms = loop_boot_ms(health->loop);
    }
    judge(health);
}

void kafka_health_good(struct kafka_health *health)
{
    health->up_ms = loop_boot_ms(health->loop);
    health->complaint_ms = 0;
    health->complaint[0] = '\0';
    health->lacks = NULL;
    if (!health->connected) {
        judge(health);
    }
}

void kafka_health_lacks(struct kafka_health *health, const char *what)
{
    health->lacks = what;
}

void kafka_health_down(struct kafka_health *health, const char *why)
{
    assert(why);
    health->up_ms = 0;
    tell(health, false, why);
}

const char *kafka_health_fatal(struct kafka_health *health, rd_kafka_t *client,
                               rd_kafka_event_t *event, bool again)
{
    char text[sizeof health->complaint] = "";
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(client, text, sizeof text);
    if (!code) {
        code = rd_kafka_event_error(event);
        snprintf(text, sizeof text, "%s", rd_kafka_event_error_string(event));
    }
    if (again || is_refusal(code)) {
        complain(health, text);
        kafka_health_down(health, health->complaint);
    } else {
        kafka_health_down(health, text);
    }
    return health->why;
}
