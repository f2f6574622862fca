/* tests/run: long */
#include "fuzz.h"

#include "core/digest.h"
#include "core/sigv4.h"

#include <openssl/hmac.h>

/* Our signature against one made slowly, by the letter of the description. */

#define HEADERS 3
#define PARAMS_MAX 12

struct pair {
    struct str name;
    struct str value;
};

static int compare(struct str a, struct str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.at, b.at, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_before(const struct pair *a, const struct pair *b)
{
    int order = compare(a->name, b->name);
    return order ? order < 0 : compare(a->value, b->value) < 0;
}

static void sort(struct pair *pairs, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        for (size_t k = i; k > 0 && is_before(&pairs[k], &pairs[k - 1]); k--) {
            struct pair swap = pairs[k];
            pairs[k] = pairs[k - 1];
            pairs[k - 1] = swap;
        }
    }
}

static void add_query(struct buf *out, struct str query)
{
    struct input left = {query.at, query.len};
    struct pair pairs[PARAMS_MAX];
    size_t len = 0;
    while (left.len > 0 && len < PARAMS_MAX) {
        struct str one = input_until(&left, '&');
        struct input halves = {one.at, one.len};
        if (one.len > 0) {
            pairs[len].name = input_until(&halves, '=');
            pairs[len++].value = input_rest(&halves);
        }
    }
    sort(pairs, len);
    for (size_t i = 0; i < len; i++) {
        buf_add_text(out, i ? "&" : "");
        buf_add_str(out, pairs[i].name);
        buf_add_char(out, '=');
        buf_add_str(out, pairs[i].value);
    }
}

static void add_hash(struct buf *out, struct str text)
{
    unsigned char hash[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    digest_of(text, hash);
    str_hex(hash, sizeof hash, hex);
    buf_add_text(out, hex);
}

static void mac(unsigned char out[32], const void *key, size_t key_len,
                struct str text)
{
    unsigned len = 32;
    CHECK(HMAC(EVP_sha256(), key, (int)key_len, (const void *)text.at, text.len,
               out, &len));
}

static void sign_slowly(const struct sigv4_request *r, const char *date,
                        struct str secret, char out[65])
{
    struct buf canonical;
    struct buf to_sign;
    unsigned char k[32];
    char seed[300];
    buf_init(&canonical, 0);
    buf_init(&to_sign, 0);
    buf_printf(&canonical, "%s\n%.*s\n", r->method, (int)r->path.len,
               r->path.at);
    add_query(&canonical, r->query);
    struct pair headers[HEADERS];
    for (size_t i = 0; i < r->headers_len; i++) {
        headers[i] =
            (struct pair){str_of(r->headers[i].name), r->headers[i].value};
    }
    sort(headers, r->headers_len);
    buf_add_char(&canonical, '\n');
    for (size_t i = 0; i < r->headers_len; i++) {
        buf_add_str(&canonical, headers[i].name);
        buf_add_char(&canonical, ':');
        buf_add_str(&canonical, headers[i].value);
        buf_add_char(&canonical, '\n');
    }
    buf_add_char(&canonical, '\n');
    for (size_t i = 0; i < r->headers_len; i++) {
        buf_add_text(&canonical, i ? ";" : "");
        buf_add_str(&canonical, headers[i].name);
    }
    buf_add_char(&canonical, '\n');
    buf_add_str(&canonical, r->payload);
    buf_printf(&to_sign,
               "AWS4-HMAC-SHA256\n%s\n%.8s/us-east-1/s3/aws4_request\n", date,
               date);
    add_hash(&to_sign, buf_str(&canonical));
    snprintf(seed, sizeof seed, "AWS4%.*s", (int)secret.len, secret.at);
    mac(k, seed, strlen(seed), (struct str){date, 8});
    mac(k, k, 32, STR("us-east-1"));
    mac(k, k, 32, STR("s3"));
    mac(k, k, 32, STR("aws4_request"));
    mac(k, k, 32, buf_str(&to_sign));
    str_hex(k, 32, out);
    buf_done(&canonical);
    buf_done(&to_sign);
}

/** What libcurl and our own callers give: visible, trimmed, percent-encoded. */
static bool is_plain(struct str text, const char *never)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > '~' ||
            strchr(never, text.at[i])) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct str path = input_until(&input, '\n');
    struct str query = input_until(&input, '\n');
    struct str secret = input_until(&input, '\n');
    struct str value = input_until(&input, '\n');
    size_t params = 1;
    for (size_t i = 0; i < query.len; i++) {
        bool last = i + 1 == query.len || query.at[i + 1] == '&';
        if (query.at[i] == '&' && (i == 0 || last)) {
            return 0; /* we never send an empty parameter */
        }
        params += query.at[i] == '&';
    }
    if (params > PARAMS_MAX || path.len == 0 || path.at[0] != '/' ||
        secret.len > 200 || !is_plain(path, "?#") || !is_plain(query, "#?") ||
        !is_plain(value, "") || !is_plain(secret, "") || value.len > 500) {
        return 0;
    }
    char expected[65];
    char signature[SIGV4_HEX_BYTES];
    char date[SIGV4_DATE_BYTES];
    struct buf authorization;
    const int64_t now_ms = 1795327200000;
    const struct sigv4_header headers[HEADERS] = {
        {"host", STR("bucket.s3.amazonaws.com")},
        {"x-amz-date", {date, sizeof date - 1}},
        {"x-amz-meta-any", value},
    };
    const struct sigv4_request request = {
        .method = "PUT",
        .path = path,
        .query = query,
        .headers = headers,
        .headers_len = HEADERS,
        .payload = STR(SIGV4_UNSIGNED),
    };
    const struct sigv4_key key = {.id = STR("AKID"), .secret = secret};
    const struct sigv4_scope scope = {"us-east-1", "s3", now_ms};
    sigv4_date(now_ms, date);
    buf_init(&authorization, 0);
    CHECK(sigv4_sign(&request, &key, &scope, &authorization, signature));
    sign_slowly(&request, date, secret, expected);
    CHECK(strcmp(signature, expected) == 0);
    CHECK(str_ends(buf_str(&authorization), str_of(signature)));
    buf_done(&authorization);
    return 0;
}
