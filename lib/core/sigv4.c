#include "core/sigv4.h"

#include "core/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void hmac(const void *key, size_t key_len, struct str text,
                 unsigned char out[DIGEST_BYTES])
{
    unsigned int len = 0;
    const void *done =
        HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.at,
             text.len, out, &len);
    assert(done && len == DIGEST_BYTES);
    (void)done;
}

static void hex_hash(struct str text, char out[static SIGV4_HEX_BYTES])
{
    unsigned char sum[DIGEST_BYTES];
    digest_of(text, sum);
    str_hex(sum, sizeof sum, out);
}

void sigv4_date(int64_t time_ms, char out[static SIGV4_DATE_BYTES])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(out, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm);
}

void sigv4_encode(struct buf *out, struct str text, bool keep_slash)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if ((c != '\0' && strchr(plain, c)) || (keep_slash && c == '/')) {
            buf_add_char(out, c);
        } else {
            buf_printf(out, "%%%02X", (unsigned char)c);
        }
    }
}

/* ---- the canonical request ---- */

static int compare_headers(const void *a, const void *b)
{
    const struct sigv4_header *left = a;
    const struct sigv4_header *right = b;
    return strcmp(left->name, right->name);
}

static struct str name_of(struct str param)
{
    const char *equals = param.len ? memchr(param.at, '=', param.len) : NULL;
    return (struct str){param.at,
                        equals ? (size_t)(equals - param.at) : param.len};
}

static int compare_str(struct str a, struct str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.at, b.at, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/** By name, then by the whole: "a=" goes before "a-b=". */
static int compare_params(const void *a, const void *b)
{
    const struct str *left = a;
    const struct str *right = b;
    int order = compare_str(name_of(*left), name_of(*right));
    return order ? order : compare_str(*left, *right);
}

static void add_query(struct buf *out, struct str query)
{
    struct str params[SIGV4_PARAMS_MAX];
    size_t n = 0;
    while (query.len) {
        const char *end = memchr(query.at, '&', query.len);
        size_t len = end ? (size_t)(end - query.at) : query.len;
        assert(n < SIGV4_PARAMS_MAX);
        params[n++] = (struct str){query.at, len};
        len += end ? 1 : 0;
        query = (struct str){query.at + len, query.len - len};
    }
    qsort(params, n, sizeof *params, compare_params);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            buf_add_char(out, '&');
        }
        buf_add_str(out, params[i]);
        if (name_of(params[i]).len == params[i].len) {
            buf_add_char(out, '=');
        }
    }
}

/** The value without spaces at its ends; several within become one. */
static void add_value(struct buf *out, struct str value)
{
    value = str_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] != ' ' || value.at[i - 1] != ' ') {
            buf_add_char(out, value.at[i]);
        }
    }
}

static void add_names(struct buf *out, const struct sigv4_header *headers,
                      size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_printf(out, "%s%s", i > 0 ? ";" : "", headers[i].name);
    }
}

/** False: no memory. */
static bool hash_request(const struct sigv4_request *request,
                         const struct sigv4_header *headers,
                         char out[static SIGV4_HEX_BYTES])
{
    assert(request->method[0] && request->path.len > 0);
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "%s\n", request->method);
    buf_add_str(&text, request->path);
    buf_add_char(&text, '\n');
    add_query(&text, request->query);
    buf_add_char(&text, '\n');
    for (size_t i = 0; i < request->headers_len; i++) {
        buf_printf(&text, "%s:", headers[i].name);
        add_value(&text, headers[i].value);
        buf_add_char(&text, '\n');
    }
    buf_add_char(&text, '\n');
    add_names(&text, headers, request->headers_len);
    buf_add_char(&text, '\n');
    buf_add_str(&text, request->payload);
    const bool good = !text.failed;
    hex_hash(buf_str(&text), out);
    buf_done(&text);
    return good;
}

/* ---- the signature ---- */

static void scope_text(const struct sigv4_scope *scope, const char *date,
                       char out[static 128])
{
    snprintf(out, 128, "%.8s/%.64s/%.16s/aws4_request", date, scope->region,
             scope->service);
}

/** False: no memory. */
static bool derive(const struct sigv4_key *key, const struct sigv4_scope *scope,
                   const char *date, unsigned char out[DIGEST_BYTES])
{
    struct buf first;
    buf_init(&first, 0);
    buf_add_text(&first, "AWS4");
    buf_add_str(&first, key->secret);
    const bool good = !first.failed;
    hmac(first.bytes ? first.bytes : "", first.len, (struct str){date, 8}, out);
    hmac(out, DIGEST_BYTES, str_of(scope->region), out);
    hmac(out, DIGEST_BYTES, str_of(scope->service), out);
    hmac(out, DIGEST_BYTES, STR("aws4_request"), out);
    if (first.bytes) {
        OPENSSL_cleanse(first.bytes, first.len);
    }
    buf_done(&first);
    return good;
}

/** The signature of a request whose headers are in order; the chain gets the
 * scope that it is of. False: no memory. */
static bool sign_request(const struct sigv4_request *request,
                         const struct sigv4_header *headers,
                         const struct sigv4_key *key,
                         const struct sigv4_scope *scope,
                         struct sigv4_chain *chain,
                         char signature[static SIGV4_HEX_BYTES])
{
    char hash[SIGV4_HEX_BYTES];
    const bool good = hash_request(request, headers, hash) &&
                      sigv4_chain_init(chain, key, scope, "");
    if (!good) {
        return false;
    }
    char text[512];
    int len = snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s",
                       chain->date, chain->scope, hash);
    unsigned char sum[DIGEST_BYTES];
    hmac(chain->key, sizeof chain->key, (struct str){text, (size_t)len}, sum);
    OPENSSL_cleanse(&chain->key, sizeof chain->key);
    str_hex(sum, sizeof sum, signature);
    return true;
}

static void sort_headers(const struct sigv4_request *request,
                         struct sigv4_header *headers)
{
    assert(request->headers_len <= SIGV4_HEADERS_MAX);
    for (size_t i = 0; i < request->headers_len; i++) {
        headers[i] = request->headers[i];
    }
    qsort(headers, request->headers_len, sizeof *headers, compare_headers);
}

bool sigv4_sign(const struct sigv4_request *request,
                const struct sigv4_key *key, const struct sigv4_scope *scope,
                struct buf *authorization,
                char signature[static SIGV4_HEX_BYTES])
{
    struct sigv4_header headers[SIGV4_HEADERS_MAX];
    struct sigv4_chain chain;
    sort_headers(request, headers);
    if (!sign_request(request, headers, key, scope, &chain, signature)) {
        return false;
    }
    buf_add_text(authorization, "AWS4-HMAC-SHA256 Credential=");
    buf_add_str(authorization, key->id);
    buf_printf(authorization, "/%s,SignedHeaders=", chain.scope);
    add_names(authorization, headers, request->headers_len);
    buf_printf(authorization, ",Signature=%s", signature);
    return !authorization->failed;
}

bool sigv4_presign(const struct sigv4_request *request,
                   const struct sigv4_key *key, const struct sigv4_scope *scope,
                   int expires_s, struct buf *query)
{
    assert(expires_s >= 1 && expires_s <= SIGV4_PRESIGN_S_MAX);
    struct sigv4_header headers[SIGV4_HEADERS_MAX];
    struct sigv4_chain chain;
    char date[SIGV4_DATE_BYTES];
    char place[128];
    char signature[SIGV4_HEX_BYTES];
    struct buf names;
    struct buf own;
    sort_headers(request, headers);
    sigv4_date(scope->time_ms, date);
    scope_text(scope, date, place);
    buf_init(&names, 0);
    buf_init(&own, 0);
    add_names(&names, headers, request->headers_len);
    buf_add_str(&own, request->query);
    buf_printf(&own, "%sX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=",
               own.len ? "&" : "");
    sigv4_encode(&own, key->id, false);
    buf_add_text(&own, "%2F");
    sigv4_encode(&own, str_of(place), false);
    buf_printf(&own, "&X-Amz-Date=%s&X-Amz-Expires=%d", date, expires_s);
    if (key->token.len) {
        buf_add_text(&own, "&X-Amz-Security-Token=");
        sigv4_encode(&own, key->token, false);
    }
    buf_add_text(&own, "&X-Amz-SignedHeaders=");
    sigv4_encode(&own, buf_str(&names), false);
    struct sigv4_request whole = *request;
    whole.query = buf_str(&own);
    if (whole.payload.len == 0) {
        whole.payload = STR(SIGV4_UNSIGNED);
    }
    const bool good =
        !own.failed && !names.failed &&
        sign_request(&whole, headers, key, scope, &chain, signature);
    if (good) {
        buf_add_str(query, whole.query);
        buf_printf(query, "&X-Amz-Signature=%s", signature);
    }
    buf_done(&own);
    buf_done(&names);
    return good && !query->failed;
}

/* ---- chunks ---- */

bool sigv4_chain_init(struct sigv4_chain *chain, const struct sigv4_key *key,
                      const struct sigv4_scope *scope, const char *seed)
{
    *chain = (struct sigv4_chain){0};
    sigv4_date(scope->time_ms, chain->date);
    scope_text(scope, chain->date, chain->scope);
    snprintf(chain->last, sizeof chain->last, "%s", seed);
    return derive(key, scope, chain->date, chain->key);
}

/** @param hashes  One or two hashes, the lines after the last signature. */
static void chain_on(struct sigv4_chain *chain, const char *kind,
                     const char *hashes)
{
    char text[512];
    int len = snprintf(text, sizeof text, "AWS4-HMAC-SHA256-%s\n%s\n%s\n%s\n%s",
                       kind, chain->date, chain->scope, chain->last, hashes);
    assert(len > 0 && (size_t)len < sizeof text);
    unsigned char sum[DIGEST_BYTES];
    hmac(chain->key, sizeof chain->key, (struct str){text, (size_t)len}, sum);
    str_hex(sum, sizeof sum, chain->last);
}

void sigv4_chain_chunk(struct sigv4_chain *chain, const void *bytes, size_t len)
{
    assert(chain->last[0]);
    assert(bytes || len == 0);
    char hash[SIGV4_HEX_BYTES];
    char hashes[2 * SIGV4_HEX_BYTES];
    hex_hash((struct str){bytes, len}, hash);
    snprintf(hashes, sizeof hashes, "%s\n%s", SIGV4_EMPTY, hash);
    chain_on(chain, "PAYLOAD", hashes);
}

void sigv4_chain_trailer(struct sigv4_chain *chain, struct str trailer)
{
    assert(chain->last[0] && trailer.len > 0);
    char hash[SIGV4_HEX_BYTES];
    hex_hash(trailer, hash);
    chain_on(chain, "TRAILER", hash);
}
