#include "edge/kafka/tokens_aws.h"

#include "core/msk.h"
#include "edge/loop.h"
#include "edge/s3/credentials.h"
#include "edge/web/wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/** For all that a source asks one after the other. */
#define KEYS_MS 20000

/** A loop of its own, for as long as one fetch takes. */
struct fetch {
    struct loop *loop;
    struct wire *wire;
    struct credentials *credentials;
    struct loop_timer *timer;
    struct credentials_wait wait;
    bool ended;
    bool found;
    struct err *err;
};

static void on_keys(void *context, const char *why)
{
    struct fetch *fetch = context;
    assert(!fetch->ended);
    fetch->ended = true;
    fetch->found = !why;
    if (why) {
        err_set(fetch->err, ERR_TRANSIENT, "%s", why);
    }
    loop_stop(fetch->loop);
}

static void on_time(void *context)
{
    struct fetch *fetch = context;
    credentials_forget(&fetch->wait);
    err_set(fetch->err, ERR_TRANSIENT,
            "whoever hands out AWS's keys has given none in %d s",
            KEYS_MS / 1000);
    loop_stop(fetch->loop);
}

static bool begin(struct fetch *fetch)
{
    fetch->loop = loop_open(fetch->err);
    fetch->wire =
        fetch->loop ? wire_open(fetch->loop, 1, NULL, fetch->err) : NULL;
    if (!fetch->wire) {
        return false;
    }
    fetch->credentials = credentials_open(fetch->loop, fetch->wire, "Kafka");
    fetch->timer = loop_timer_new(fetch->loop, on_time, fetch);
    return (fetch->credentials && fetch->timer) ||
           err_set(fetch->err, ERR_TRANSIENT, "no memory for AWS's keys");
}

static void end(struct fetch *fetch)
{
    credentials_close(fetch->credentials);
    wire_close(fetch->wire);
    loop_timer_free(fetch->timer);
    if (fetch->loop) {
        loop_close(fetch->loop);
    }
}

static bool find_region(struct fetch *fetch, const char **region)
{
    if (*region[0]) {
        return true;
    }
    return credentials_region(fetch->credentials, region, fetch->err) &&
           (*region || err_set(fetch->err, ERR_TRANSIENT,
                               "no region: neither the brokers' names, nor "
                               "KAFKA_TOKENS_FROM=aws-msk-iam:REGION, nor "
                               "AWS_REGION or the profile says one"));
}

bool kafka_tokens_aws(const char *region, int64_t now_ms, struct buf *token,
                      int64_t *life_ms, struct err *err)
{
    struct fetch fetch = {.err = err};
    bool good = begin(&fetch) && find_region(&fetch, &region);
    if (good) {
        fetch.wait =
            (struct credentials_wait){.on_end = on_keys, .context = &fetch};
        credentials_want(fetch.credentials, &fetch.wait);
        loop_timer_set(fetch.timer, KEYS_MS);
        loop_run(fetch.loop);
        const struct sigv4_key *key =
            fetch.found ? credentials_now(fetch.credentials) : NULL;
        good = key && strlen(region) < MSK_REGION_BYTES &&
               (msk_token(region, key, now_ms, token) ||
                err_set(err, ERR_TRANSIENT, "no memory for a token"));
        *life_ms = credentials_life_ms(fetch.credentials, MSK_LIFE_S * 1000);
    }
    end(&fetch);
    return good;
}
