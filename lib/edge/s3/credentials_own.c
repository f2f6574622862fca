#include "edge/s3/credentials_own.h"

#include "core/s3_reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EARLY_MS 300000 /* fetched again so long before they expire */
#define PAUSE_MAX_MS 30000

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool source_is_over(const struct credentials *c)
{
    return c->expires_ms && loop_boot_ms(c->loop) >= c->expires_ms;
}

void source_failed(struct credentials *c, const char *what, const char *why)
{
    assert(what[0]);
    uint32_t random;
    c->roles_len = 0;
    loop_random_bytes(c->loop, &random, sizeof random);
    snprintf(c->why, sizeof c->why, "no credentials for %s: %s%s%.120s",
             c->whom_for, what, why[0] ? ": " : "", why);
    c->failed_ms = loop_boot_ms(c->loop);
    c->pause_ms =
        SOURCE_PAUSE_MS + backoff_fail(&c->backoff, PAUSE_MAX_MS, random);
    c->have = c->have && !source_is_over(c);
    loop_timer_set(c->soon, 0);
}

static void take_keys(struct credentials *c, struct aws_keys *keys)
{
    c->keys = *keys;
    explicit_bzero(keys, sizeof *keys);
    c->key = (struct sigv4_key){
        .id = str_of(c->keys.id),
        .secret = str_of(c->keys.secret),
        .token = c->keys.token[0] ? str_of(c->keys.token) : (struct str){0},
    };
    c->have = true;
    c->issue++;
}

void source_found(struct credentials *c, struct aws_keys *keys,
                  int64_t reread_ms)
{
    assert(reread_ms >= 0 && !c->call);
    if (c->roles_len > 0) {
        c->assume(c, keys);
        return;
    }
    const int64_t now_ms = loop_boot_ms(c->loop);
    take_keys(c, keys);
    c->expires_ms = 0;
    c->fetched_ms = now_ms;
    c->again_ms = reread_ms ? now_ms + reread_ms : 0;
    c->failed_ms = 0;
    loop_timer_set(c->soon, 0);
}

void source_fetched(struct credentials *c, const char *from,
                    struct aws_keys *keys, const char *date)
{
    assert(from[0] && !c->call);
    if (c->roles_len > 0) {
        c->assume(c, keys);
        return;
    }
    const int64_t now_ms = loop_boot_ms(c->loop);
    const int64_t theirs_ms = s3_http_date(str_of(date));
    const int64_t life_ms =
        keys->expires_ms - (theirs_ms >= 0 ? theirs_ms : wall_ms());
    if (keys->expires_ms && life_ms <= 0) {
        char why[100];
        snprintf(why, sizeof why,
                 "they had expired %lld s ago when they came, by %s clock",
                 (long long)(-life_ms / 1000),
                 theirs_ms >= 0 ? "its own" : "this machine's");
        explicit_bzero(keys, sizeof *keys);
        source_failed(c, from, why);
        return;
    }
    const int64_t early_ms = life_ms > 2 * EARLY_MS ? EARLY_MS : life_ms / 2;
    const bool ends = keys->expires_ms != 0;
    take_keys(c, keys);
    c->expires_ms = ends ? now_ms + life_ms : 0;
    c->again_ms = ends ? now_ms + life_ms - early_ms : 0;
    c->fetched_ms = now_ms;
    c->failed_ms = 0;
    backoff_good(&c->backoff);
    loop_timer_set(c->soon, 0);
}
