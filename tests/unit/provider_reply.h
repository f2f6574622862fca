#ifndef UNIT_PROVIDER_REPLY_H
#define UNIT_PROVIDER_REPLY_H

/* What the tests of the provider's readers share; after cmocka.h. */

#include <stdlib.h>
#include <string.h>

#include "core/apimart.h"

#define NOW_MS INT64_C(1800000000000)
#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* `{"error":{…}}` as the provider writes it. */
#define ERROR(type, code, message)                                             \
    "{\"error\":{\"type\":\"" type "\",\"code\":" code                         \
    ",\"message\":\"" message "\"}}"

static struct arena arena;

static inline int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static inline struct reply whole(int status, const char *body)
{
    return (struct reply){
        .end = REPLY_WHOLE,
        .sent = true,
        .status = status,
        .body = str_of(body),
    };
}

static inline void assert_text(struct str text, const char *expected)
{
    if (!str_eq(text, str_of(expected))) {
        fail_msg("'%.*s' is not '%s'", (int)text.len, text.at ? text.at : "",
                 expected);
    }
}

static inline uint32_t next_random(uint32_t *random)
{
    *random = *random * 1664525 + 1013904223;
    return *random >> 8;
}

/** One byte changed, dropped or doubled, or the end cut off. */
static inline void mutate_once(char *body, size_t *len, uint32_t *random)
{
    size_t at = next_random(random) % *len;
    switch (next_random(random) % 4) {
    case 0:
        body[at] = (char)next_random(random);
        break;
    case 1:
        memmove(body + at, body + at + 1, *len - at - 1);
        *len -= *len > 1;
        break;
    case 2:
        memmove(body + at + 1, body + at, *len - at);
        *len += 1;
        break;
    default:
        *len = at + 1;
    }
}

/**
 * A body near `seed`, in memory of its exact size, so that the sanitizer sees
 * a byte read too far. The caller frees it.
 */
static inline struct str mutate(const char *seed, uint32_t *random)
{
    size_t len = strlen(seed);
    char *body = malloc(len + 8);
    assert_non_null(body);
    memcpy(body, seed, len);
    for (uint32_t i = next_random(random) % 4; len > 0 && i < 4; i++) {
        mutate_once(body, &len, random);
    }
    char *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, body, len);
    free(body);
    return (struct str){exact, len};
}

#endif
