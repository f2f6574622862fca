#include "edge/kafka/grave.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct kafka_grave {
    struct loop *loop;
    loop_fn *on_filled;
    void *context;
    struct loop_timer *timer; /* until the thread begins */
    rd_kafka_t *client;
};

static void begin(void *context);

struct kafka_grave *kafka_grave_new(struct loop *loop, loop_fn *on_filled,
                                    void *context)
{
    assert(on_filled);
    struct kafka_grave *grave = malloc(sizeof *grave);
    if (!grave) {
        return NULL;
    }
    *grave = (struct kafka_grave){.loop = loop,
                                  .on_filled = on_filled,
                                  .context = context,
                                  .timer = loop_timer_new(loop, begin, grave)};
    if (!grave->timer) {
        free(grave);
        return NULL;
    }
    return grave;
}

void kafka_grave_free(struct kafka_grave *grave)
{
    if (grave) {
        loop_timer_free(grave->timer);
        free(grave);
    }
}

static void on_dead(void *context)
{
    struct kafka_grave *grave = context;
    grave->on_filled(grave->context);
    kafka_grave_free(grave);
}

static void die(void *context)
{
    struct kafka_grave *grave = context;
    rd_kafka_destroy_flags(grave->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void *run(void *context)
{
    struct kafka_grave *grave = context;
    die(grave);
    loop_post(grave->loop, on_dead, grave);
    return NULL;
}

static void begin(void *context)
{
    struct kafka_grave *grave = context;
    pthread_t thread;
    pthread_attr_t detached;
    assert(grave->client);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, run, grave) != 0) {
        loop_work(grave->loop, die, on_dead, grave);
    }
    pthread_attr_destroy(&detached);
}

void kafka_grave_fill(struct kafka_grave *grave, rd_kafka_t *client)
{
    assert(client && !grave->client);
    grave->client = client;
    /* Not yet: it may be the client's own event that brought us here, and that
     * counts the client's messages down when it goes. */
    loop_timer_set(grave->timer, 0);
}
