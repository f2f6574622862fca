#include "base/settings_check.h"
#include "edge/s3/begin.h"
#include "edge/s3/link.h"
#include "edge/s3/look.h"
#include "edge/s3/probe.h"
#include "edge/s3/sweep.h"
#include "edge/s3/walk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MORE_CONNECTIONS 4 /* for checks, probes and sweeps */

static struct s3 *s3_of(struct bucket *base)
{
    return (struct s3 *)(void *)base;
}

static void s3_close(struct bucket *base)
{
    struct s3 *s3 = s3_of(base);
    s3_probe_end(s3);
    s3_sweeps_end(s3);
    assert(list_is_empty(&s3->calls));
    credentials_close(s3->credentials);
    wire_close(s3->wire);
    arena_done(&s3->arena);
    free(s3);
}

/** Parts are as large as S3's count of them makes necessary. */
static size_t part_bytes_for(int64_t bytes_max)
{
    int64_t least = bytes_max / S3_PARTS_MAX + 1;
    int64_t mib = 1 << 20;
    least = (least + mib - 1) / mib * mib;
    return least > (int64_t)S3_PART_BYTES_MIN ? (size_t)least
                                              : S3_PART_BYTES_MIN;
}

/** What had no room says nothing of the settings. */
static bool no_place(const struct s3 *s3, const char *why, struct err *err)
{
    return s3->arena.failed
               ? err_set(err, ERR_TRANSIENT, "no memory for the store")
               : err_set(err, ERR_PERMANENT, "%s", why);
}

/** What STORAGE_URL leaves open, judged as it would be there. */
static bool find_endpoint(struct s3 *s3, struct err *err)
{
    const char *endpoint = NULL;
    const char *from = "";
    if (s3->url.endpoint) {
        return true;
    }
    if (!credentials_endpoint(s3->credentials, &endpoint, &from, err)) {
        return false;
    }
    const struct setting_verdict verdict =
        endpoint ? setting_check(FORM_ENDPOINT, str_of(endpoint))
                 : (struct setting_verdict){0};
    if (verdict.fault) {
        return err_set(err, ERR_PERMANENT, "%s: value %s, allowed: %s", from,
                       verdict.fault, verdict.allowed);
    }
    if (endpoint && !s3_url_endpoint(&s3->url, str_of(endpoint), &s3->arena)) {
        return no_place(s3, "S3's endpoint can't be read", err);
    }
    return true;
}

static bool find_place(struct s3 *s3, struct err *err)
{
    if (!find_endpoint(s3, err)) {
        return false;
    }
    const char *region = s3->url.region;
    if (!region && !credentials_region(s3->credentials, &region, err)) {
        return false;
    }
    region = region ? region : "us-east-1";
    const char *ca = s3->url.ca ? s3->url.ca : getenv("AWS_CA_BUNDLE");
    s3->region = arena_copy(&s3->arena, region, strlen(region));
    s3->ca_file = ca && ca[0] ? arena_copy(&s3->arena, ca, strlen(ca)) : NULL;
    s3->name = arena_copy(&s3->arena, s3->url.name.at, s3->url.name.len);
    if (!s3_url_place(&s3->url, s3->region, &s3->arena, &s3->place)) {
        return no_place(s3, "STORAGE_URL's endpoint can't be read", err);
    }
    s3->site = arena_copy(&s3->arena, s3->place.base.at, s3->place.base.len);
    s3->secure = str_starts(s3->place.base, STR("https:"));
    s3->takes = s3_takes_at_best(s3);
    return true;
}

static struct bucket *s3_open(struct loop *loop, struct str url, int puts_max,
                              int64_t bytes_max, const struct proxy *proxy,
                              struct err *err)
{
    struct s3 *s3 = calloc(1, sizeof *s3);
    if (!s3) {
        err_set(err, ERR_TRANSIENT, "no memory for the store");
        return NULL;
    }
    s3->base = (struct bucket){&bucket_s3_kind, loop};
    s3->loop = loop;
    s3->learn = s3_learn;
    s3->bytes_max = bytes_max;
    s3->puts_max = puts_max;
    s3->pace = puts_max;
    s3->part_bytes = part_bytes_for(bytes_max);
    s3->parts_free = (int)(S3_MEMORY_BYTES / s3->part_bytes);
    s3->parts_free = s3->parts_free > 2 ? s3->parts_free : 2;
    s3->probe_random = loop_random(loop);
    list_init(&s3->learners);
    list_init(&s3->calls);
    list_init(&s3->sweeps);
    list_init(&s3->parts_wanted);
    arena_init(&s3->arena, 4096, 0);
    s3->wire = wire_open(loop, puts_max + MORE_CONNECTIONS, proxy, err);
    s3->credentials = s3->wire ? credentials_open(loop, s3->wire, "S3") : NULL;
    bool good = s3->credentials != NULL;
    if (!good) {
        err_set(err, ERR_TRANSIENT, "no memory for the store");
    } else if (!s3_url_read(url, &s3->arena, &s3->url)) {
        good = no_place(s3, "STORAGE_URL can't be read", err);
    } else {
        good = find_place(s3, err);
    }
    if (!good) {
        s3_close(&s3->base);
        return NULL;
    }
    return &s3->base;
}

static void s3_uri(const struct bucket *base, struct str key, char *out,
                   size_t out_bytes)
{
    const struct s3 *s3 = (const struct s3 *)(const void *)base;
    int len = snprintf(out, out_bytes, "s3://%.*s/", (int)s3->url.bucket.len,
                       s3->url.bucket.at);
    if (len > 0 && (size_t)len < out_bytes) {
        s3_key(s3, key, out + len, out_bytes - (size_t)len);
    }
}

static const char *s3_name(const struct bucket *base)
{
    return ((const struct s3 *)(const void *)base)->name;
}

const struct bucket_kind bucket_s3_kind = {
    .scheme = "s3://",
    .open = s3_open,
    .uri = s3_uri,
    .name = s3_name,
    .put = s3_put,
    .write = s3_put_write,
    .finish = s3_put_finish,
    .cancel = s3_put_cancel,
    .check = s3_check,
    .look = s3_look,
    .link = s3_link,
    .site = s3_site,
    .walk = s3_walk,
    .probe = s3_probe,
    .forget = s3_forget,
    .sweep = s3_sweep,
    .close = s3_close,
};
