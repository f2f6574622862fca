#include "edge/s3/credentials.h"

#include "base/buf.h"
#include "edge/s3/aws_files.h"
#include "edge/s3/credentials_own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RENEW_MIN_MS 10000

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
                path, aws_words(trouble));
    } else {
        struct str value =
            aws_file_value(buf_str(&text), aws_profile(), true, "region");
        snprintf(c->region, sizeof c->region, "%.*s", (int)value.len,
                 value.at ? value.at : "");
        value =
            aws_file_value(buf_str(&text), aws_profile(), true, "endpoint_url");
        snprintf(c->endpoint, sizeof c->endpoint, "%.*s", (int)value.len,
                 value.at ? value.at : "");
    }
    aws_wipe(&text);
    return trouble == 0;
}

bool credentials_endpoint(struct credentials *c, const char **endpoint,
                          const char **from, struct err *err)
{
    static const char *const names[] = {"AWS_ENDPOINT_URL_S3",
                                        "AWS_ENDPOINT_URL"};
    const char *ignored = aws_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    *endpoint = NULL;
    if (ignored && strcasecmp(ignored, "true") == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *from = names[i];
        *endpoint = aws_env(names[i]);
        if (*endpoint) {
            return true;
        }
    }
    if (!read_region(c, err)) {
        return false;
    }
    *from = "the profile's endpoint_url";
    *endpoint = c->endpoint[0] ? c->endpoint : NULL;
    return true;
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

/* ---- who waits ---- */

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
    assert(!c->call && !c->files);
    c->roles_len = 0;
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
    return c->failed_ms
               ? now_ms - c->failed_ms >= c->pause_ms
               : !c->fetched_ms || now_ms - c->fetched_ms >= SOURCE_PAUSE_MS;
}

const struct sigv4_key *credentials_now(struct credentials *c)
{
    const int64_t now_ms = loop_boot_ms(c->loop);
    if (c->have && source_is_over(c)) {
        c->have = false;
        snprintf(c->why, sizeof c->why,
                 "no credentials for %s: the last ones have just expired",
                 c->whom_for);
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

uint32_t credentials_issue(const struct credentials *c)
{
    return c->issue;
}

bool credentials_renew(struct credentials *c, uint32_t issue)
{
    assert(c->wire && issue <= c->issue);
    if (!c->have) { /* whoever wants them has them fetched */
        return is_fetching(c) || c->failed_ms == 0;
    }
    if (issue != c->issue) {
        return true;
    }
    if (loop_boot_ms(c->loop) - c->fetched_ms < RENEW_MIN_MS) {
        return is_fetching(c);
    }
    c->have = false;
    c->failed_ms = 0;
    snprintf(c->why, sizeof c->why,
             "no credentials for %s: the store refuses the last ones",
             c->whom_for);
    return true;
}

void credentials_doubt(struct credentials *c)
{
    const int64_t now_ms = loop_boot_ms(c->loop);
    if (c->have && now_ms - c->fetched_ms >= RENEW_MIN_MS) {
        c->again_ms = now_ms;
    }
}

int64_t credentials_life_ms(const struct credentials *c, int64_t most_ms)
{
    const int64_t left_ms =
        c->expires_ms ? c->expires_ms - loop_boot_ms(c->loop) : most_ms;
    return left_ms < most_ms ? left_ms : most_ms;
}

struct credentials *credentials_open(struct loop *loop, struct wire *wire,
                                     const char *whom_for)
{
    assert(wire && whom_for[0]);
    struct credentials *c = calloc(1, sizeof *c);
    if (!c) {
        return NULL;
    }
    c->loop = loop;
    c->wire = wire;
    c->whom_for = whom_for;
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
