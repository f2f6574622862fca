#include "edge/s3/credentials_own.h"

#include "base/buf.h"
#include "core/s3_reply.h"
#include "edge/s3/aws_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EARLY_MS 300000 /* fetched again so long before they expire */
/* a source is left alone so long, one that failed longer */
#define PAUSE_MS 1000
#define PAUSE_MAX_MS 30000
#define RENEW_MIN_MS 10000

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** Of the profile, if it says one. A file that is there and can't be read is no
 * file without a region: another region would be guessed. */
static bool read_region(struct credentials *c, struct err *err)
{
    struct buf text;
    char path[AWS_PATH_BYTES];
    aws_shared_path("AWS_CONFIG_FILE", ".aws/config", path);
    const int trouble =
        aws_trouble(aws_read_file(path, &text), "AWS_CONFIG_FILE");
    if (trouble) {
        err_set(err, ERR_TRANSIENT,
                "%s, which may say S3's region, can't be read: %s (AWS_REGION "
                "says it too)",
                path, strerror(trouble));
    } else {
        struct str value =
            aws_file_value(buf_str(&text), aws_profile(), true, "region");
        snprintf(c->region, sizeof c->region, "%.*s", (int)value.len,
                 value.at ? value.at : "");
    }
    aws_wipe(&text);
    return trouble == 0;
}

bool credentials_region(struct credentials *c, const char **region,
                        struct err *err)
{
    const char *said = aws_env("AWS_REGION");
    said = said ? said : aws_env("AWS_DEFAULT_REGION");
    if (said) {
        snprintf(c->region, sizeof c->region, "%s", said);
    } else if (!c->region[0] && !read_region(c, err)) {
        return false;
    }
    *region = c->region[0] ? c->region : NULL;
    return true;
}

/* ---- the end of a fetch ---- */

static void on_soon(void *context)
{
    struct credentials *c = context;
    const char *why = c->have ? NULL : c->why;
    struct list now;
    list_init(&now);
    while (!list_is_empty(&c->waiting)) {
        list_add_tail(&now, list_pop(&c->waiting));
    }
    while (!list_is_empty(&now)) {
        struct credentials_wait *wait =
            LIST_OWNER(list_pop(&now), struct credentials_wait, link);
        wait->on_end(wait->context, why);
    }
}

static bool is_expired(const struct credentials *c)
{
    return c->expires_ms && loop_boot_ms(c->loop) >= c->expires_ms;
}

/** Keys that are there stay until they expire. */
void source_failed(struct credentials *c, const char *what, const char *why)
{
    uint32_t random;
    loop_random_bytes(c->loop, &random, sizeof random);
    snprintf(c->why, sizeof c->why, "no credentials for S3: %s%s%.120s", what,
             why[0] ? ": " : "", why);
    c->failed_ms = loop_boot_ms(c->loop);
    c->pause_ms = PAUSE_MS + backoff_fail(&c->backoff, PAUSE_MAX_MS, random);
    c->have = c->have && !is_expired(c);
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
}

/** Of one's own: the environment, files. They say no end. */
void source_found(struct credentials *c, struct aws_keys *keys,
                  int64_t reread_ms)
{
    const int64_t now_ms = loop_boot_ms(c->loop);
    take_keys(c, keys);
    c->expires_ms = 0;
    c->fetched_ms = now_ms;
    c->again_ms = reread_ms ? now_ms + reread_ms : 0;
    c->failed_ms = 0;
    loop_timer_set(c->soon, 0);
}

/**
 * Of a server, whose clock says how long they live: ours may be wrong, and
 * would have them expired for ever.
 */
void source_fetched(struct credentials *c, const char *from,
                    struct aws_keys *keys, const char *date)
{
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

/* ---- a fetch ---- */

/** The first whose it is to give them takes it on. */
static void on_files(struct credentials *c, const struct source_files *files)
{
    static source_fn *const sources[] = {
        source_web_identity,
        source_profile,
        source_container,
        source_instance,
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (sources[i](c, files)) {
            return;
        }
    }
    source_failed(c, "neither in the environment nor in shared files", "");
}

static void fetch(struct credentials *c)
{
    if (!source_environment(c)) {
        source_read(c, on_files);
    }
}

static bool is_fetching(const struct credentials *c)
{
    return c->call || c->files;
}

/* ---- the door ---- */

/** None is under way, and the last one is a while ago. */
static bool may_fetch(const struct credentials *c)
{
    const int64_t now_ms = loop_boot_ms(c->loop);
    if (is_fetching(c)) {
        return false;
    }
    return c->failed_ms ? now_ms - c->failed_ms >= c->pause_ms
                        : !c->fetched_ms || now_ms - c->fetched_ms >= PAUSE_MS;
}

const struct sigv4_key *credentials_now(struct credentials *c)
{
    const int64_t now_ms = loop_boot_ms(c->loop);
    if (c->have && is_expired(c)) {
        c->have = false;
        snprintf(c->why, sizeof c->why,
                 "no credentials for S3: the last ones have just expired");
    }
    if (c->have && c->again_ms && now_ms >= c->again_ms && may_fetch(c)) {
        fetch(c);
    }
    return c->have ? &c->key : NULL;
}

void credentials_want(struct credentials *c, struct credentials_wait *wait)
{
    assert(wait->on_end);
    list_add_tail(&c->waiting, &wait->link);
    if (c->have || (!is_fetching(c) && !may_fetch(c))) {
        loop_timer_set(c->soon, 0);
    } else if (!is_fetching(c)) {
        fetch(c);
    }
}

void credentials_forget(struct credentials_wait *wait)
{
    list_remove(&wait->link);
}

bool credentials_renew(struct credentials *c)
{
    if (!c->have || loop_boot_ms(c->loop) - c->fetched_ms < RENEW_MIN_MS) {
        return is_fetching(c); /* newer ones are under way, or there are none */
    }
    c->have = false;
    c->failed_ms = 0;
    snprintf(c->why, sizeof c->why,
             "no credentials for S3: the store refuses the last ones");
    return true;
}

void credentials_doubt(struct credentials *c)
{
    const int64_t now_ms = loop_boot_ms(c->loop);
    if (c->have && now_ms - c->fetched_ms >= RENEW_MIN_MS) {
        c->again_ms = now_ms;
    }
}

struct credentials *credentials_open(struct loop *loop, struct wire *wire)
{
    assert(wire);
    struct credentials *c = calloc(1, sizeof *c);
    if (!c) {
        return NULL;
    }
    c->loop = loop;
    c->wire = wire;
    list_init(&c->waiting);
    c->soon = loop_timer_new(loop, on_soon, c);
    if (!c->soon) {
        credentials_close(c);
        return NULL;
    }
    return c;
}

void credentials_close(struct credentials *c)
{
    if (!c) {
        return;
    }
    if (c->call) {
        wire_drop(c->call);
    }
    source_read_drop(c);
    aws_wipe(&c->body);
    loop_timer_free(c->soon);
    explicit_bzero(c, sizeof *c);
    free(c);
}
