#include "edge/s3/call.h"

#include "base/buf.h"
#include "core/digest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MS 10000
#define BRIEF_MS 15000 /* the same for calls over which nobody thinks long */
/* a CompleteMultipartUpload may think for minutes, but sends spaces
 * meanwhile */
#define STALL_MS 60000
/* Of a call whose reply is dripped on purpose: that it ends at all. */
#define THINK_MS (30 * 60 * 1000)
#define WINDOW_MS 60000 /* of a least rate of bytes */
#define SKEW_LEAST_MS 60000
#define PACE_PAUSE_MS 1000 /* one halving for the answers of one moment */
/* Of a probe's name. */
#define RANDOM_DIGITS 8
#define COUNT_DIGITS_MAX 10

struct s3_call {
    struct list link;
    struct s3 *s3;
    struct arena arena;
    struct s3_ask ask; /* its texts are in the arena, but for the body */
    s3_end_fn *on_end;
    void *context;
    struct credentials_wait wait; /* for credentials */
    struct wire_call *wire;       /* null: not sent yet */
    int64_t skew_ms;              /* that it was signed with */
    uint32_t issue;               /* of the keys that it was signed with */
    bool again;                   /* this is its second time */
};

/* ---- signing ---- */

int64_t s3_wall_ms(const struct s3 *s3)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + s3->skew_ms;
}

void s3_ask_header(struct s3_ask *ask, const char *name, struct str value)
{
    assert(name);
    if (value.len > 0) {
        assert(ask->headers_len < S3_HEADERS_MAX);
        ask->headers[ask->headers_len++] = (struct sigv4_header){name, value};
    }
}

void s3_ask_query(struct s3_ask *ask, const struct buf *query)
{
    ask->query = buf_str(query);
    ask->half = ask->half || query->failed;
}

void s3_ask_body(struct s3_ask *ask, const struct buf *body)
{
    ask->body = buf_str(body);
    ask->half = ask->half || body->failed;
}

void s3_ask_object(const struct s3 *s3, struct s3_ask *ask)
{
    const struct s3_url *url = &s3->url;
    s3_ask_header(ask, "content-type", STR("video/mp4"));
    s3_ask_header(ask, "x-amz-acl", str_of(url->acl));
    s3_ask_header(ask, "x-amz-server-side-encryption", str_of(url->sse));
    s3_ask_header(ask, "x-amz-server-side-encryption-aws-kms-key-id",
                  str_of(url->sse_kms_key_id));
    s3_ask_header(ask, "x-amz-storage-class", str_of(url->storage_class));
    s3_ask_header(ask, "x-amz-tagging", str_of(url->tags));
}

void s3_ask_condition(struct s3_ask *ask)
{
    s3_ask_header(ask, "if-none-match", STR("*"));
}

struct str s3_key(const struct s3 *s3, struct str key, char *out,
                  size_t out_bytes)
{
    assert(out_bytes > 0);
    int len = snprintf(out, out_bytes, "%.*s%s%.*s", (int)s3->url.prefix.len,
                       s3->url.prefix.at, s3->url.prefix.len ? "/" : "",
                       (int)key.len, key.at);
    return (struct str){out,
                        (size_t)len < out_bytes ? (size_t)len : out_bytes - 1};
}

/** A copy of what the call needs until its end. */
static bool copy_ask(struct s3_call *call, const struct s3_ask *ask)
{
    assert(ask->method && ask->method[0]);
    struct arena *arena = &call->arena;
    call->ask = *ask;
    call->ask.key.at =
        arena_copy(arena, ask->key.at ? ask->key.at : "", ask->key.len);
    call->ask.query.at =
        arena_copy(arena, ask->query.at ? ask->query.at : "", ask->query.len);
    for (size_t i = 0; i < ask->headers_len; i++) {
        struct str *value = &call->ask.headers[i].value;
        value->at = arena_copy(arena, value->at, value->len);
    }
    return !arena->failed;
}

/** Path and headers of one sending; lives in the call's arena. */
struct letter {
    struct sigv4_request request;
    struct sigv4_header headers[SIGV4_HEADERS_MAX];
    const char *lines[SIGV4_HEADERS_MAX + 1];
    size_t lines_len;
    char date[SIGV4_DATE_BYTES];
    char hash[SIGV4_HEX_BYTES];
};

static void letter_header(struct letter *letter, const char *name,
                          struct str value)
{
    if (value.len > 0) {
        size_t n = letter->request.headers_len++;
        assert(n < SIGV4_HEADERS_MAX);
        letter->headers[n] = (struct sigv4_header){name, value};
    }
}

static void letter_fill(struct s3_call *call, struct letter *letter,
                        const struct sigv4_key *key)
{
    const struct s3 *s3 = call->s3;
    const struct s3_ask *ask = &call->ask;
    assert(letter->request.headers_len == 0);
    const char *payload = ask->payload;
    if (!payload) {
        unsigned char sum[DIGEST_BYTES];
        digest_of(ask->body, sum);
        str_hex(sum, sizeof sum, letter->hash);
        payload = letter->hash;
    }
    letter->request.method = ask->method;
    letter->request.query = ask->query;
    letter->request.headers = letter->headers;
    letter->request.payload = str_of(payload);
    letter_header(letter, "host", s3->place.host);
    letter_header(letter, "x-amz-date", str_of(letter->date));
    letter_header(letter, "x-amz-content-sha256", str_of(payload));
    letter_header(letter, "x-amz-security-token", key->token);
    letter_header(letter, "x-amz-expected-bucket-owner", str_of(s3->url.owner));
    for (size_t i = 0; i < ask->headers_len; i++) {
        letter_header(letter, ask->headers[i].name, ask->headers[i].value);
    }
}

/** False: no memory. A signature of half of it, or half a header, would only be
 * refused, and the refusal read as the credentials' fault. */
static bool letter_sign(struct s3_call *call, struct letter *letter,
                        const struct sigv4_key *key, int64_t now_ms)
{
    assert(letter->lines_len == 0);
    const struct sigv4_scope scope = {call->s3->region, "s3", now_ms};
    char signature[SIGV4_HEX_BYTES];
    struct buf authorization;
    buf_init(&authorization, 0);
    bool good =
        sigv4_sign(&letter->request, key, &scope, &authorization, signature);
    if (good && call->ask.chain) {
        good = sigv4_chain_init(call->ask.chain, key, &scope, signature);
    }
    for (size_t i = 0; i < letter->request.headers_len; i++) {
        const struct sigv4_header *header = &letter->headers[i];
        letter->lines[letter->lines_len++] =
            arena_printf(&call->arena, "%s: %.*s", header->name,
                         (int)header->value.len, header->value.at);
    }
    letter->lines[letter->lines_len++] =
        arena_printf(&call->arena, "authorization: %.*s",
                     (int)authorization.len, buf_str(&authorization).at);
    buf_done(&authorization);
    return good && !call->arena.failed;
}

/** "" or "/bucket", then "/key"; encoded, as it is signed and sent. False: no
 * memory; half a path would be another object's. */
static bool path_of(struct s3_call *call, struct str *out)
{
    struct buf path;
    buf_init(&path, 0);
    buf_add_str(&path, call->s3->place.root);
    buf_add_char(&path, '/');
    sigv4_encode(&path, call->ask.key, true);
    *out = (struct str){arena_copy(&call->arena, buf_str(&path).at, path.len),
                        path.len};
    const bool good = !path.failed && out->at;
    buf_done(&path);
    return good;
}

/* ---- a call ---- */

static void on_answer(void *context, const struct wire_answer *answer);
static void on_credentials(void *context, const char *why);

static void free_call(struct s3_call *call)
{
    list_remove(&call->link);
    credentials_forget(&call->wait);
    arena_done(&call->arena);
    free(call);
}

static void end_call(struct s3_call *call, const struct s3_end *end)
{
    assert(call->on_end);
    if (end->verdict == S3_SLOW) {
        s3_slow_down(call->s3);
    }
    call->on_end(call->context, end);
    free_call(call);
}

static void end_with(struct s3_call *call, enum s3_verdict verdict,
                     const char *why)
{
    struct s3_end end = {.verdict = verdict, .etag = "", .length = ""};
    snprintf(end.why, sizeof end.why, "%s", why);
    end_call(call, &end);
}

/* The library calls with our call; the asker wants its own context. */

static size_t on_source(void *context, char *out, size_t room)
{
    struct s3_call *call = context;
    assert(call->ask.source && room > 0);
    return call->ask.source(call->context, out, room);
}

static void on_sink(void *context, const char *bytes, size_t len)
{
    struct s3_call *call = context;
    assert(call->ask.sink);
    call->ask.sink(call->context, bytes, len);
}

static bool is_brief(const struct s3_ask *ask)
{
    return strcmp(ask->method, "HEAD") == 0 ||
           strcmp(ask->method, "DELETE") == 0;
}

static bool send_now(struct s3_call *call, const struct sigv4_key *key)
{
    struct s3 *s3 = call->s3;
    struct letter *letter = arena_alloc(&call->arena, sizeof *letter);
    if (!letter) {
        return false;
    }
    int64_t now_ms = s3_wall_ms(s3);
    call->skew_ms = s3->skew_ms;
    call->issue = credentials_issue(s3->credentials);
    sigv4_date(now_ms, letter->date);
    if (!path_of(call, &letter->request.path)) {
        return false;
    }
    letter_fill(call, letter, key);
    if (!letter_sign(call, letter, key, now_ms)) {
        return false;
    }
    struct str path = letter->request.path;
    struct str query = call->ask.query;
    const char *url =
        arena_printf(&call->arena, "%.*s%.*s%s%.*s", (int)s3->place.base.len,
                     s3->place.base.at, (int)path.len, path.at,
                     query.len ? "?" : "", (int)query.len, query.at);
    const bool thinks = strcmp(call->ask.method, "POST") == 0;
    const struct wire_request request = {
        .method = call->ask.method,
        .url = url,
        .headers = letter->lines,
        .headers_len = letter->lines_len,
        .body = call->ask.body,
        .source = call->ask.source ? on_source : NULL,
        .source_bytes = call->ask.source_bytes,
        .sink = call->ask.sink ? on_sink : NULL,
        .ca_file = s3->ca_file,
        .connect_ms = CONNECT_MS,
        .stall_ms = is_brief(&call->ask) ? BRIEF_MS : STALL_MS,
        .window_ms = thinks ? 0 : WINDOW_MS,
        .whole_ms = thinks ? THINK_MS : 0,
    };
    if (call->arena.failed) {
        return false;
    }
    call->wire = wire_start(s3->wire, &request, on_answer, call);
    return call->wire != NULL;
}

static void try_send(struct s3_call *call)
{
    const struct sigv4_key *key = credentials_now(call->s3->credentials);
    if (!key) {
        credentials_want(call->s3->credentials, &call->wait);
    } else if (!send_now(call, key)) {
        end_with(call, S3_AGAIN, "no memory for a call to S3");
    }
}

static void on_credentials(void *context, const char *why)
{
    struct s3_call *call = context;
    if (why) {
        end_with(call, S3_UNUSABLE, why);
        return;
    }
    try_send(call);
}

/** The store's clock decides. False: that isn't it. Of several calls that were
 * signed by a clock that is wrong, each is well again once one has told. */
static bool learn_skew(const struct s3_call *call, const char *date)
{
    struct s3 *s3 = call->s3;
    int64_t theirs_ms = s3_http_date(str_of(date));
    if (theirs_ms < 0) {
        return false;
    }
    int64_t skew_ms = theirs_ms - (s3_wall_ms(s3) - s3->skew_ms);
    int64_t change_ms = skew_ms - call->skew_ms;
    s3->skew_ms = skew_ms;
    return change_ms > SKEW_LEAST_MS || change_ms < -SKEW_LEAST_MS;
}

/** Whether what was wrong is mended now. */
static bool is_mended(const struct s3_call *call, enum s3_verdict verdict,
                      const char *date)
{
    if (verdict == S3_SKEWED) {
        return learn_skew(call, date);
    }
    return verdict == S3_EXPIRED &&
           credentials_renew(call->s3->credentials, call->issue);
}

static void on_answer(void *context, const struct wire_answer *answer)
{
    struct s3_call *call = context;
    struct s3 *s3 = call->s3;
    struct s3_end end = {.verdict = S3_AGAIN,
                         .status = answer->status,
                         .body = answer->body,
                         .etag = answer->etag,
                         .length = answer->length};
    call->wire = NULL;
    if (!answer->whole) {
        end.lost = true;
        end.ours = answer->ours;
        snprintf(end.why, sizeof end.why, "%s%s",
                 answer->ours ? "" : "S3 can't be reached: ", answer->why);
        end_call(call, &end);
        return;
    }
    struct s3_reply reply;
    s3_reply_read(answer->status, answer->body, &reply);
    end.verdict = reply.verdict;
    end.form = reply.form;
    s3_reply_words(answer->status, &reply, end.why, sizeof end.why);
    if (reply.verdict == S3_UNUSABLE && answer->region[0] &&
        strcmp(answer->region, s3->region) != 0) {
        snprintf(end.why, sizeof end.why,
                 "the bucket is in the region %s, ours is %s", answer->region,
                 s3->region);
    }
    if (reply.verdict == S3_SKEWED || reply.verdict == S3_EXPIRED) {
        bool mended = is_mended(call, reply.verdict, answer->date);
        if (mended && !call->again && !call->ask.source) {
            call->again = true;
            try_send(call);
            return;
        }
        end.verdict = mended ? S3_AGAIN : S3_UNUSABLE;
        end.mended = mended && !call->again;
    } else if (reply.verdict == S3_UNUSABLE && answer->status == 403) {
        credentials_doubt(s3->credentials); /* for whoever tries next */
    }
    end_call(call, &end);
}

struct s3_call *s3_send(struct s3 *s3, const struct s3_ask *ask,
                        s3_end_fn *on_end, void *context)
{
    assert(ask->method && on_end);
    struct s3_call *call = ask->half ? NULL : calloc(1, sizeof *call);
    if (!call) {
        return NULL;
    }
    call->s3 = s3;
    call->on_end = on_end;
    call->context = context;
    call->wait =
        (struct credentials_wait){.on_end = on_credentials, .context = call};
    list_init(&call->link);
    list_init(&call->wait.link);
    arena_init(&call->arena, 4096, 0);
    const struct sigv4_key *key = credentials_now(s3->credentials);
    if (!copy_ask(call, ask) || (key && !send_now(call, key))) {
        free_call(call);
        return NULL;
    }
    if (!key) {
        credentials_want(s3->credentials, &call->wait);
    }
    list_add_tail(&s3->calls, &call->link);
    return call;
}

void s3_more(struct s3_call *call)
{
    if (call->wire) {
        wire_more(call->wire);
    }
}

void s3_drop(struct s3_call *call)
{
    if (!call) {
        return;
    }
    if (call->wire) {
        wire_drop(call->wire);
    }
    free_call(call);
}

/* ---- verdicts ---- */

enum bucket_end s3_bucket_end(enum s3_verdict verdict)
{
    switch (verdict) {
    case S3_DONE:
        return BUCKET_DONE;
    case S3_EXISTS:
        return BUCKET_EXISTS;
    case S3_UNUSABLE:
        return BUCKET_UNUSABLE;
    case S3_MISSING:
    case S3_AGAIN:
    case S3_SLOW:
    case S3_SKEWED:
    case S3_EXPIRED:
    case S3_CANT:
        break;
    }
    return BUCKET_FAILED;
}

enum bucket_end s3_last_end(const struct s3_end *end)
{
    return end->lost && !end->ours ? BUCKET_UNUSABLE
                                   : s3_bucket_end(end->verdict);
}

void s3_slow_down(struct s3 *s3)
{
    int64_t now_ms = loop_boot_ms(s3->loop);
    if (s3->slowed_ms == 0 || now_ms - s3->slowed_ms >= PACE_PAUSE_MS) {
        s3->slowed_ms = now_ms;
        s3->pace = s3->pace > 1 ? s3->pace / 2 : 1;
    }
}

void s3_speed_up(struct s3 *s3)
{
    assert(s3->pace >= 1);
    if (s3->pace < s3->puts_max) {
        s3->pace++;
    }
}

/** As probe.c makes them: eight digits of hex, a hyphen, a number. */
bool s3_is_probe(struct str key)
{
    static const char hex[] = "0123456789abcdef";
    const struct str begin = STR(S3_PROBE);
    const size_t fixed = begin.len + RANDOM_DIGITS + 1;
    if (!str_starts(key, begin) || key.len <= fixed ||
        key.len > fixed + COUNT_DIGITS_MAX || key.at[fixed - 1] != '-') {
        return false;
    }
    for (size_t i = begin.len; i < key.len; i++) {
        const int digits = i < fixed ? 16 : 10;
        if (i != fixed - 1 && !memchr(hex, key.at[i], (size_t)digits)) {
            return false;
        }
    }
    return true;
}
