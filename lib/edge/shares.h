#ifndef EDGE_SHARES_H
#define EDGE_SHARES_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/** What the store (store.h) is asked and told of tenants that share. */

struct store;

/** Of a tenant. */
struct share_ask {
    const char *tenant;
    int n;
};

/** SUBMITTING and RUNNING of a worker: of an account, by its name, and a
 * tenant. No tenant: it claims by shares. */
struct share_use {
    const char *account;
    const char *tenant;
    int n;
};

/** Who waits, and who occupies. */
struct share_look {
    int64_t owner;
    int64_t now_ms;
    /** Whose pinned rows wait, too. */
    const struct str *accounts;
    size_t accounts_len;
};

struct share_seen {
    struct str tenant;
    bool waits; /* a request of it may be claimed */
    int held;   /* by the others that are alive, as they last said */
    int weight;
    int slots; /* its cap; 0: none */
};

/** tenants: by their names, until this returns. */
typedef void share_look_fn(void *context, const struct share_seen *tenants,
                           size_t len, const struct err *err);

void store_share_look(struct store *store, const struct share_look *look,
                      share_look_fn *on_result, void *context);

#endif
