#ifndef CORE_PROVIDER_ERROR_H
#define CORE_PROVIDER_ERROR_H

#include "base/arena.h"
#include "core/exchange.h"

#include <stdbool.h>

/**
 * What a reply says went wrong (apimart.md "Errors"), whichever of the provider's
 * shapes it says it in. Real replies don't always carry the documented type:
 * the status is looked at first, then type, code and text.
 */
struct provider_error {
    bool told;  /* the body holds an error, or a code that is none of 2xx */
    int status; /* the one that counts: HTTP's; for a 2xx that tells an
                   error, that of its code; 0: such a code names none */
    struct str type;          /* absent: none */
    struct str code;          /* as text; absent: none */
    bool worded;              /* the message is the provider's, else ours */
    struct str message;       /* never absent, at most 2,000 code points */
    struct str provider_code; /* N of `pixverse error N`, else the code */
};

#define PROVIDER_TEXT_POINTS_MAX 2000
#define PROVIDER_CODE_POINTS_MAX 100

/** Slices live in the arena, or in the reply. */
void provider_error_read(const struct reply *reply, struct arena *arena,
                         struct provider_error *error);

/** Code, type or message speaks of moderation: a repeat would be punished. */
bool provider_error_is_moderation(const struct provider_error *error);

/** It is the account that lacks money, not the request that is wrong. */
bool provider_error_is_balance(const struct provider_error *error);

/** Whether the code or the type is this word, or the message begins with it. */
bool provider_error_says(const struct provider_error *error, const char *word);

/* For jansson: a NUL in a text, a name that stands twice (the last counts), or
 * a number too big for 64 bits must not cost us the rest of the reply. */
#define PROVIDER_JSON_FLAGS (JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

/**
 * A body that a JSON reader will take: without a byte order mark, and with
 * U+FFFD for what is not UTF-8. A paid id must not be lost for one bad byte.
 */
struct str provider_json(struct str body, struct arena *arena);

/**
 * Readable text of at most `points` code points: control characters become
 * spaces; the queries of URLs and what looks like an API key become "...".
 */
struct str provider_text(struct str text, size_t points, struct arena *arena);

#endif
