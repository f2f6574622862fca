#ifndef EDGE_KAFKA_CLIENT_H
#define EDGE_KAFKA_CLIENT_H

#include "edge/consumer.h"

#include <librdkafka/rdkafka.h>

/**
 * What the consumer and the producer share of librdkafka: settings, events on
 * the loop, and whether the brokers answer. For those two edges only; flow
 * never sees this.
 */

/** Our value of a property. */
struct kafka_rule {
    const char *name;
    const char *value; /* null: the property is refused whatever its value */
    bool fixed;        /* a promise depends on it: the user can't change it */
};

/**
 * Our rules, then the user's properties over those that aren't fixed.
 *
 * @param rules  The first is bootstrap.servers.
 * @return  null, with *err set: ERR_PERMANENT a property that is unknown, has
 *          a bad value or is fixed; named in the text, its value is not.
 */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_rule *rules,
                                size_t rules_len,
                                const struct kafka_property *properties,
                                size_t properties_len, struct err *err);

/**
 * A client of librdkafka, whose tokens are taken care of.
 *
 * @param conf  Taken over in any case; null with *err set is passed on.
 * @return      null, with *err set: ERR_PERMANENT it makes none of that conf
 */
rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                             struct err *err);

/** A copy with its texts; null: no memory. Freed with
 * kafka_properties_free(). */
struct kafka_property *
kafka_properties_copy(const struct kafka_property *properties, size_t len);
void kafka_properties_free(struct kafka_property *properties, size_t len);

/** Brings the events of one queue to the loop. */
struct kafka_feed;

/** @param event  Destroyed by the feed when this returns. */
typedef void kafka_event_fn(void *context, rd_kafka_event_t *event);

/**
 * @param queue  The one all others are forwarded to; the feed takes it over,
 *               also when it can't be opened.
 */
struct kafka_feed *kafka_feed_open(struct loop *loop, rd_kafka_queue_t *queue,
                                   kafka_event_fn *on_event, void *context,
                                   struct err *err);

/** unread: events stay in librdkafka's queue until it is said otherwise;
 * accepted inside on_event. */
void kafka_feed_leave_unread(struct kafka_feed *feed, bool unread);

/** No event comes any more; accepted inside on_event, and null. */
void kafka_feed_close(struct kafka_feed *feed);

/** Whether the brokers answer, told on change. */
struct kafka_health {
    struct loop *loop;
    consumer_state_fn *on_state; /* may be null */
    void *context;
    const char *topic;    /* for words; may be null */
    bool connected;       /* as last told */
    bool told;            /* anything at all */
    int64_t since_ms;     /* when it was opened; boot time */
    int64_t up_ms;        /* when a broker was last seen up; 0: never */
    int64_t complaint_ms; /* last refusal by a broker; 0: none */
    char complaint[256];  /* its words; empty: none since all was good */
    char trouble[256];    /* last transport error, in words */
    const char *lacks; /* what has to come before all is well; null: nothing */
    char why[256];     /* as last told */
};

/** How often librdkafka tells its statistics, as text for a rule. */
#define KAFKA_STATS_MS "1000"

void kafka_health_init(struct kafka_health *health, struct loop *loop,
                       const char *topic, consumer_state_fn *on_state,
                       void *context);
/** An RD_KAFKA_EVENT_ERROR that isn't fatal. */
void kafka_health_error(struct kafka_health *health, rd_kafka_event_t *event);
/** @param up  Whether the statistics name a broker that is up. */
void kafka_health_stats(struct kafka_health *health, bool up);
/** The brokers did what we asked: a message, an assignment, an
 * acknowledgement. */
void kafka_health_good(struct kafka_health *health);
/**
 * A broker that is up isn't enough: this has to come, too. To be said before
 * each kafka_health_stats(), while it lacks; null: it has come.
 *
 * @param what  In words, outliving the health; a refusal that the broker has
 *              spoken since all was well is told in its place.
 */
void kafka_health_lacks(struct kafka_health *health, const char *what);

/** Down at once, and told so. */
void kafka_health_down(struct kafka_health *health, const char *why);

/**
 * Down at once, in the words of a client's fatal error.
 *
 * @param again  The client before this one ended so, too: then it isn't over
 *               when the next one has found a broker.
 * @return       What was told; the health's.
 */
const char *kafka_health_fatal(struct kafka_health *health, rd_kafka_t *client,
                               rd_kafka_event_t *event, bool again);

#endif
