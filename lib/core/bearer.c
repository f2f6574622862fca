#include "core/bearer.h"

#include "base/buf.h"
#include "core/base64url.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static bool is_one_word(struct str token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.at[i] <= ' ' || token.at[i] > '~') {
            return false;
        }
    }
    return token.len > 0;
}

/** The claims of a JWT, the caller's; null: it is none. */
static json_t *claims_of(struct str token)
{
    const char *begin = memchr(token.at, '.', token.len);
    const char *end = begin ? memchr(begin + 1, '.',
                                     token.len - (size_t)(begin + 1 - token.at))
                            : NULL;
    json_t *claims = NULL;
    struct buf text;
    buf_init(&text, 0);
    if (end && base64url_read(
                   &text, (struct str){begin + 1, (size_t)(end - begin) - 1})) {
        claims = json_loadb(text.len ? text.bytes : "", text.len, 0, NULL);
    }
    buf_done(&text);
    if (!json_is_object(claims)) {
        json_decref(claims);
        return NULL;
    }
    return claims;
}

/** Seconds of Unix time, whole or not; 0: it says none that a clock has. */
static int64_t end_of(const json_t *claims)
{
    const double seconds = json_number_value(json_object_get(claims, "exp"));
    return seconds > 0 && seconds < 1e12 ? (int64_t)(seconds * 1000) : 0;
}

bool bearer_read(struct str token, int64_t now_ms, struct bearer *bearer,
                 struct err *err)
{
    assert(now_ms > 0);
    if (!is_one_word(token)) {
        return err_set(err, ERR_TRANSIENT, "%s",
                       token.len ? "it is not one line of visible characters"
                                 : "it is empty");
    }
    json_t *claims = claims_of(token);
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    const int64_t end_ms = claims ? end_of(claims) : 0;
    snprintf(bearer->principal, sizeof bearer->principal, "%s",
             subject && subject[0] ? subject : "token");
    json_decref(claims);
    bearer->until_ms = end_ms && end_ms < now_ms + BEARER_LIFE_MS
                           ? end_ms
                           : now_ms + BEARER_LIFE_MS;
    return bearer->until_ms > now_ms ||
           err_set(err, ERR_TRANSIENT,
                   "it expired %lld s ago, by this machine's clock",
                   (long long)((now_ms - end_ms) / 1000));
}
