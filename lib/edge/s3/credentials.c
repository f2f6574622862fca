#include "edge/s3/credentials.h"

#include "base/buf.h"
#include "core/aws.h"
#include "core/retry.h"
#include "core/s3_reply.h"
#include "edge/s3/aws_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EARLY_MS 300000  /* fetched again so long before they expire */
#define REREAD_MS 300000 /* files, which others change */
/* a source is left alone so long, one that failed longer */
#define PAUSE_MS 1000
#define PAUSE_MAX_MS 30000
#define RENEW_MIN_MS 10000
#define CONNECT_MS 1000 /* the endpoints are on this machine, or not at all */
#define STS_CONNECT_MS 10000
#define STALL_MS 5000
#define WHOLE_MS 30000
#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_ROLES "/latest/meta-data/iam/security-credentials/"

/** Steps of a fetch that ask a server. */
enum asking {
    ASKING_STS,
    ASKING_CONTAINER,
    ASKING_TOKEN,
    ASKING_ROLE,
    ASKING_KEYS
};

struct credentials {
    struct loop *loop;
    struct wire *wire;
    struct loop_timer *soon; /* tells the waiting */
    struct list waiting;
    struct aws_keys keys;
    struct sigv4_key key; /* slices of keys */
    bool have;
    /* Times of the loop's clock: the wall clock may be wrong, and jump. */
    int64_t expires_ms; /* of the keys; 0: never */
    int64_t fetched_ms; /* 0: not yet */
    int64_t again_ms;   /* fetch again from here on; 0: never */
    int64_t failed_ms;  /* 0: the last fetch didn't fail */
    int64_t pause_ms;   /* after that */
    struct backoff backoff;
    char why[200]; /* what the last fetch failed for */
    struct wire_call *call;
    enum asking asking;
    struct buf body; /* of the call */
    char token[256]; /* of the instance's metadata */
    char region[64];
};

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *credentials_region(struct credentials *c)
{
    const char *region = aws_env("AWS_REGION");
    region = region ? region : aws_env("AWS_DEFAULT_REGION");
    if (region) {
        snprintf(c->region, sizeof c->region, "%s", region);
    } else if (!c->region[0]) {
        struct buf text;
        if (aws_read_shared("AWS_CONFIG_FILE", ".aws/config", &text)) {
            struct str value =
                aws_file_value(buf_str(&text), aws_profile(), true, "region");
            snprintf(c->region, sizeof c->region, "%.*s", (int)value.len,
                     value.at ? value.at : "");
        }
        aws_wipe(&text);
    }
    return c->region[0] ? c->region : NULL;
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
static void failed(struct credentials *c, const char *what, const char *why)
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
static void found(struct credentials *c, struct aws_keys *keys,
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
static void fetched(struct credentials *c, const char *from,
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
        failed(c, from, why);
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

/* ---- servers ---- */

static void ask(struct credentials *c, enum asking asking, const char *method,
                const char *url, const char *header);

static const char *instance_host(void)
{
    const char *said = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    return said ? said : INSTANCE_HOST;
}

static void ask_instance(struct credentials *c, enum asking asking,
                         const char *role)
{
    char url[512];
    char header[300];
    snprintf(url, sizeof url, "%s" INSTANCE_ROLES "%s", instance_host(), role);
    snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", c->token);
    ask(c, asking, "GET", url, header);
}

/** One line of visible characters; a role's name, or a token. */
static bool take_word(struct str body, char *out, size_t out_bytes)
{
    body = str_trim(body);
    bool good = body.len > 0 && body.len < out_bytes;
    for (size_t i = 0; good && i < body.len; i++) {
        good = body.at[i] > ' ' && body.at[i] < 0x7f;
    }
    if (good) {
        memcpy(out, body.at, body.len);
        out[body.len] = '\0';
    }
    return good;
}

static void on_answer(void *context, const struct wire_answer *answer)
{
    static const char *const names[] = {
        [ASKING_STS] = "STS",
        [ASKING_CONTAINER] = "the container's endpoint",
        [ASKING_TOKEN] = "the instance's metadata",
        [ASKING_ROLE] = "the instance's role",
        [ASKING_KEYS] = "the instance's role",
    };
    struct credentials *c = context;
    struct aws_keys keys = {0};
    char role[129];
    char why[160];
    c->call = NULL;
    aws_wipe(&c->body);
    if (!answer->whole || answer->status != 200) {
        snprintf(why, sizeof why, "status %d", answer->status);
        failed(c, names[c->asking], answer->whole ? why : answer->why);
        return;
    }
    bool good = false;
    switch (c->asking) {
    case ASKING_TOKEN:
        good = take_word(answer->body, c->token, sizeof c->token);
        if (good) {
            ask_instance(c, ASKING_ROLE, "");
        }
        break;
    case ASKING_ROLE:
        good = take_word(answer->body, role, sizeof role);
        if (good) {
            ask_instance(c, ASKING_KEYS, role);
        }
        break;
    case ASKING_STS:
        good = aws_keys_read_xml(answer->body, &keys);
        break;
    case ASKING_CONTAINER:
    case ASKING_KEYS:
        good = aws_keys_read_json(answer->body, &keys);
        break;
    }
    if (!good) {
        failed(c, names[c->asking], "an answer that can't be read");
    } else if (keys.id[0]) {
        fetched(c, names[c->asking], &keys, answer->date);
    }
}

static void ask(struct credentials *c, enum asking asking, const char *method,
                const char *url, const char *header)
{
    const char *headers[2] = {header, NULL};
    size_t len = header ? 1 : 0;
    if (asking == ASKING_STS) {
        headers[len++] = "Content-Type: application/x-www-form-urlencoded";
    }
    const struct wire_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .headers_len = len,
        .body = buf_str(&c->body),
        .connect_ms = asking == ASKING_STS ? STS_CONNECT_MS : CONNECT_MS,
        .stall_ms = STALL_MS,
        .whole_ms = WHOLE_MS,
    };
    c->asking = asking;
    c->call = wire_start(c->wire, &request, on_answer, c);
    if (!c->call) {
        aws_wipe(&c->body);
        failed(c, "no memory", "");
    }
}

/* ---- sources, in their order: true if it is ours to take ---- */

static bool from_environment(struct credentials *c)
{
    const char *id = aws_env("AWS_ACCESS_KEY_ID");
    const char *secret = aws_env("AWS_SECRET_ACCESS_KEY");
    if (!id || !secret) {
        return false;
    }
    struct aws_keys keys;
    if (aws_keys_set(&keys, str_of(id), str_of(secret),
                     str_of(aws_env("AWS_SESSION_TOKEN")))) {
        found(c, &keys, 0);
    } else {
        failed(c, "AWS_ACCESS_KEY_ID and its companions can't be read", "");
    }
    return true;
}

static void assume(struct credentials *c, const char *role, const char *path)
{
    struct buf token;
    char url[300];
    if (!aws_read_file(path, &token)) {
        aws_wipe(&token);
        failed(c, "the web identity's token can't be read", "");
        return;
    }
    const char *name = aws_env("AWS_ROLE_SESSION_NAME");
    buf_init(&c->body, 0);
    buf_add_text(&c->body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
                           "&RoleSessionName=");
    sigv4_encode(&c->body, str_of(name ? name : "pixverse-worker"), false);
    buf_add_text(&c->body, "&RoleArn=");
    sigv4_encode(&c->body, str_of(role), false);
    buf_add_text(&c->body, "&WebIdentityToken=");
    sigv4_encode(&c->body, str_trim(buf_str(&token)), false);
    aws_wipe(&token);
    const char *said = aws_env("AWS_ENDPOINT_URL_STS");
    const char *region = credentials_region(c);
    if (said) {
        snprintf(url, sizeof url, "%s", said);
    } else {
        snprintf(url, sizeof url, "https://sts.%s%samazonaws.com%s/",
                 region ? region : "", region ? "." : "",
                 region && strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    }
    ask(c, ASKING_STS, "POST", url, NULL);
}

static bool from_web_identity(struct credentials *c)
{
    const char *path = aws_env("AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *role = aws_env("AWS_ROLE_ARN");
    if (!path || !role) {
        return false;
    }
    assume(c, role, path);
    return true;
}

/** Of the credentials file, else of the config file. */
static struct str shared_value(const struct buf texts[2], const char *name)
{
    struct str value =
        aws_file_value(buf_str(&texts[0]), aws_profile(), false, name);
    return value.at
               ? value
               : aws_file_value(buf_str(&texts[1]), aws_profile(), true, name);
}

static bool take_profile(struct credentials *c, const struct buf texts[2])
{
    struct str id = shared_value(texts, "aws_access_key_id");
    struct str secret = shared_value(texts, "aws_secret_access_key");
    struct str role = shared_value(texts, "role_arn");
    struct str path = shared_value(texts, "web_identity_token_file");
    struct aws_keys keys;
    if (role.at && path.at) {
        char role_text[512];
        char path_text[4096];
        snprintf(role_text, sizeof role_text, "%.*s", (int)role.len, role.at);
        snprintf(path_text, sizeof path_text, "%.*s", (int)path.len, path.at);
        assume(c, role_text, path_text);
        return true;
    }
    if (id.at && secret.at) {
        if (aws_keys_set(&keys, id, secret,
                         shared_value(texts, "aws_session_token"))) {
            found(c, &keys, REREAD_MS);
        } else {
            failed(c, "the profile's keys can't be read", aws_profile());
        }
        return true;
    }
    if (role.at || shared_value(texts, "credential_process").at ||
        shared_value(texts, "sso_session").at ||
        shared_value(texts, "sso_start_url").at) {
        failed(c,
               "the profile wants another profile's role, a process or single "
               "sign-on, which this program doesn't do",
               aws_profile());
        return true;
    }
    return false;
}

static bool from_files(struct credentials *c)
{
    struct buf texts[2];
    bool keys = aws_read_shared("AWS_SHARED_CREDENTIALS_FILE",
                                ".aws/credentials", &texts[0]);
    bool config = aws_read_shared("AWS_CONFIG_FILE", ".aws/config", &texts[1]);
    bool taken = (keys || config) && take_profile(c, texts);
    aws_wipe(&texts[0]);
    aws_wipe(&texts[1]);
    if (!taken && aws_env("AWS_PROFILE")) {
        failed(c, "no keys in the shared files for the profile", aws_profile());
        return true;
    }
    return taken;
}

/** Plain HTTP shows the token to whoever listens: to this machine only. */
static bool is_near(const char *url)
{
    static const char *const hosts[] = {
        "https://",         "http://127.",
        "http://localhost", "http://169.254.170.",
        "http://[::1]",     "http://[fd00:ec2::23]",
    };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        if (strncmp(url, hosts[i], strlen(hosts[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool from_container(struct credentials *c)
{
    const char *relative = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *token = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *path = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (!relative && !full) {
        return false;
    }
    if (!relative && !is_near(full)) {
        failed(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not of this machine",
               "");
        return true;
    }
    char url[1024];
    char word[8192];
    char header[8400];
    snprintf(url, sizeof url, "%s%s", relative ? CONTAINER_HOST : "",
             relative ? relative : full);
    struct buf text;
    buf_init(&text, 0);
    bool good = !path || aws_read_file(path, &text);
    struct str said = path ? buf_str(&text) : str_of(token);
    word[0] = '\0';
    good = good && (!said.len || take_word(said, word, sizeof word));
    aws_wipe(&text);
    if (good) {
        snprintf(header, sizeof header, "Authorization: %s", word);
        ask(c, ASKING_CONTAINER, "GET", url, word[0] ? header : NULL);
    } else {
        failed(c, "the container's token can't be read", "");
    }
    explicit_bzero(word, sizeof word);
    explicit_bzero(header, sizeof header);
    return true;
}

static bool from_instance(struct credentials *c)
{
    const char *off = aws_env("AWS_EC2_METADATA_DISABLED");
    char url[512];
    if (off && str_eq_nocase(str_of(off), STR("true"))) {
        return false;
    }
    snprintf(url, sizeof url, "%s/latest/api/token", instance_host());
    ask(c, ASKING_TOKEN, "PUT", url,
        "X-aws-ec2-metadata-token-ttl-seconds: 21600");
    return true;
}

static void fetch(struct credentials *c)
{
    bool (*const sources[])(struct credentials *) = {
        from_environment, from_web_identity, from_files,
        from_container,   from_instance,
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (sources[i](c)) {
            return;
        }
    }
    failed(c, "neither in the environment nor in shared files", "");
}

/* ---- the door ---- */

/** None is under way, and the last one is a while ago. */
static bool may_fetch(const struct credentials *c)
{
    const int64_t now_ms = loop_boot_ms(c->loop);
    if (c->call) {
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
    if (c->have || (!c->call && !may_fetch(c))) {
        loop_timer_set(c->soon, 0);
    } else if (!c->call) {
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
        return c->call !=
               NULL; /* newer ones are under way, or there are none */
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
    aws_wipe(&c->body);
    loop_timer_free(c->soon);
    explicit_bzero(c, sizeof *c);
    free(c);
}
