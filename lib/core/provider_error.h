#ifndef CORE_PROVIDER_ERROR_H
#define CORE_PROVIDER_ERROR_H

#include "base/arena.h"
#include "core/exchange.h"
#include "core/provider_text.h"

#include <stdbool.h>

/**
 * What a reply says went wrong (apimart.md "Errors"), whichever of the shapes
 * it says it in: the documented `error` object, or flat, as relays of the
 * provider's family and web frameworks do. Real replies don't always carry the
 * documented type: the status is looked at first, then type, code and text.
 */
struct provider_error {
    bool told; /* the body holds an error, or a code that is none of 2xx */
    bool json; /* the body is a JSON object */
    bool flat; /* what is told stands outside an `error` object */
    /* the one that counts: HTTP's; for a 2xx that tells an error, that of
     * its code; 0: such a code names none */
    int status;
    struct str type; /* absent: none */
    struct str code; /* as text; absent: none */
    /* a code deeper inside, as of an error that is passed on as text;
     * absent: none */
    struct str inner;
    /* the one text whose first word is documented to count; absent: none */
    struct str lead;
    bool worded;              /* the message is the provider's, else ours */
    struct str message;       /* never absent, at most 2,000 code points */
    struct str provider_code; /* N of `pixverse error N`, else the code */
};

/** Slices live in the arena, or in the reply. */
void provider_error_read(const struct reply *reply, struct arena *arena,
                         struct provider_error *error);

/** Code, type or message speaks of moderation: a repeat would be punished. */
bool provider_error_is_moderation(const struct provider_error *error);

/** By its code, and that alone: the provider had no room for it, or broke down
 * over it (apimart.md, the codes that say "later"). */
bool provider_error_is_overload(const struct provider_error *error);

/** By its code: the account has too many generations under way. */
bool provider_error_is_crowded(const struct provider_error *error);

/** It is the account that lacks money, not the request that is wrong. */
bool provider_error_is_balance(const struct provider_error *error);

/**
 * The same, said beyond doubt: of money, and that it does not suffice. For
 * statuses that have another meaning, and may quote words of the prompt.
 */
bool provider_error_is_no_money(const struct provider_error *error);

/**
 * For 403, 404 and 405: not the provider judged the request, but what stands
 * before it judged us (a firewall, a list of addresses, a ban of the account)
 * or did not find it (a misrouted gateway). Every request would be answered so.
 */
bool provider_error_is_channel(const struct provider_error *error);

/** For 400 and 404: it is the task that is not known, not the path. */
bool provider_error_denies_task(const struct provider_error *error);

/**
 * Whether this word of the documentation is what is told: the code or type is
 * it, or the message begins with it. Flat in a 2xx only the code counts.
 */
bool provider_error_says(const struct provider_error *error, const char *word);

#endif
