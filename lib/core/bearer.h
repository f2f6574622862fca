#ifndef CORE_BEARER_H
#define CORE_BEARER_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/**
 * What a bearer token says of itself, for SASL OAUTHBEARER (RFC 7628). Only who
 * issued it, and who takes it, look at its signature.
 */
struct bearer {
    char principal[256]; /* whose it is, for logs; never empty */
    int64_t until_ms;    /* when it is to be replaced; Unix time */
};

/** The longest that a token is used without asking its source again: what is
 * replaced there, for whatever reason, is taken up within this time. */
#define BEARER_LIFE_MS INT64_C(300000)

/**
 * Read a token: a JWT says its end (`exp`) and its subject (`sub`), any other
 * says nothing.
 *
 * @param now_ms  Unix time.
 * @return        false, with *err set, ERR_TRANSIENT: it is no token (one line
 *                of visible ASCII), or it has expired. Holds no piece of it.
 */
MUST_CHECK bool bearer_read(struct str token, int64_t now_ms,
                            struct bearer *bearer, struct err *err);

#endif
