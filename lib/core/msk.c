#include "core/msk.h"

#include "core/base64url.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

static struct str next_broker(struct str *rest)
{
    const char *end = memchr(rest->at, ',', rest->len);
    const size_t len = end ? (size_t)(end - rest->at) : rest->len;
    struct str broker = {rest->at, len};
    const size_t gone = end ? len + 1 : len;
    *rest = (struct str){rest->at + gone, rest->len - gone};
    return broker;
}

bool msk_region(struct str brokers, char region[static MSK_REGION_BYTES])
{
    const struct str before[] = {STR(".kafka."), STR(".kafka-serverless.")};
    while (brokers.len) {
        const struct str host = next_broker(&brokers);
        for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
            const ptrdiff_t at = str_find_nocase(host, before[i]);
            if (at < 0) {
                continue;
            }
            const size_t from = (size_t)at + before[i].len;
            const struct str rest = {host.at + from, host.len - from};
            const ptrdiff_t len = str_find_nocase(rest, STR(".amazonaws.com"));
            if (len > 0 && len < MSK_REGION_BYTES &&
                !memchr(rest.at, '.', (size_t)len)) {
                snprintf(region, MSK_REGION_BYTES, "%.*s", (int)len, rest.at);
                return true;
            }
        }
    }
    return false;
}

bool msk_token(const char *region, const struct sigv4_key *key, int64_t time_ms,
               struct buf *token)
{
    assert(region[0] && strlen(region) < MSK_REGION_BYTES);
    char host[MSK_REGION_BYTES + 32];
    snprintf(host, sizeof host, "kafka.%s.amazonaws.com", region);
    const struct sigv4_header header = {"host", str_of(host)};
    const struct sigv4_request request = {
        .method = "GET",
        .path = STR("/"),
        .query = STR("Action=kafka-cluster%3AConnect"),
        .headers = &header,
        .headers_len = 1,
        .payload = STR(SIGV4_EMPTY),
    };
    const struct sigv4_scope scope = {
        .region = region, .service = "kafka-cluster", .time_ms = time_ms};
    struct buf url;
    buf_init(&url, 0);
    buf_printf(&url, "https://%s/?", host);
    const bool good = sigv4_presign(&request, key, &scope, MSK_LIFE_S, &url);
    buf_add_text(&url, "&User-Agent=pixverse-worker"); /* not signed */
    if (good && !url.failed) {
        base64url_add(token, buf_str(&url));
    }
    const bool whole = good && !url.failed && !token->failed;
    if (url.bytes) {
        OPENSSL_cleanse(url.bytes, url.len);
    }
    buf_done(&url);
    return whole;
}
