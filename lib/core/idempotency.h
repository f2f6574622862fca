#ifndef CORE_IDEMPOTENCY_H
#define CORE_IDEMPOTENCY_H

#include "base/err.h"
#include "base/str.h"
#include "core/digest.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * The idempotency key of a send: a hash of what is stored, so that a database
 * restored from a backup, whose requests come once more, sends under the keys
 * that it has sent under before.
 */

#define SALT_BYTES 32 /* of meta.salt: random, one for each database */
/* Visible ASCII, far below what the provider takes (191); with the NUL. */
#define IDEMPOTENCY_KEY_BYTES DIGEST_HEX_BYTES

/** What the key is made of, and nothing else is. */
struct send_identity {
    struct str salt;
    struct str request_id;
    struct str content; /* the digest that intake made of what came */
    int32_t submission; /* task.submission: how often an operator ordered it */
    int32_t attempt;    /* task.attempt: all sends of one are one purchase */
};

/**
 * SHA-256, in hex, over the five parts in their order, each behind its length
 * (four bytes, the highest first); numbers as decimal digits. So no two
 * identities are one text.
 *
 * @return false: no memory.
 */
MUST_CHECK bool idempotency_key(const struct send_identity *send,
                                char out[static IDEMPOTENCY_KEY_BYTES]);

#endif
