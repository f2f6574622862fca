#ifndef CORE_APIMART_H
#define CORE_APIMART_H

#include "base/arena.h"
#include "core/exchange.h"
#include "core/keys.h"
#include "core/step.h"

/**
 * The provider's language: exchanges made from rows, outcomes made from
 * replies. Source of every rule: core/apimart.md
 * and CONTRACT's table of kinds, which wins.
 */

/** Where and under which key something is asked for. */
struct apimart {
    /* as it was set: slashes at its end count for nothing */
    struct str base_url;
    struct str key;
    char account[ACCOUNT_BYTES]; /* made by apimart_account() */
};

/** What rows keep of an account: its name, a hash of its URL, and the key's
 * fingerprint. name: one that accounts_parse() takes. */
void apimart_account(struct str name, struct str base_url, struct str key,
                     char out[static ACCOUNT_BYTES]);

/** Same name and URL, whatever the key: its ids can be polled. */
bool apimart_same_account(const char *account_a, const char *account_b);

/** The name in what a row keeps; empty: it keeps none. */
struct str apimart_account_name(const char *account);

/** A base URL as accounts are told apart by it, cut to what fits. */
void apimart_url(struct str base_url, char *out, size_t bytes);

/** POST /v1/videos/generations with the stored bytes and key. */
struct exchange apimart_submit(const struct apimart *apimart, struct str body,
                               struct str idempotency_key, struct arena *arena);
struct exchange apimart_poll(const struct apimart *apimart,
                             struct str provider_task_id, struct arena *arena);
/** GET /v1/model-schema: does it say that it honours keys? */
struct exchange apimart_ask_schema(const struct apimart *apimart,
                                   struct arena *arena);
/** GET /v1/balance (account's for `user`). */
struct exchange apimart_ask_balance(const struct apimart *apimart, bool user,
                                    struct arena *arena);

/** What an account has used and has left, in the unit of cost; NaN where it
 * does not say, or has no limit. false: the reply is no such page. */
bool apimart_read_balance(const struct reply *reply, double *used,
                          double *remain);

/** Visible ASCII of a length that a row can hold. */
bool apimart_is_task_id(struct str text);

/** One of the submit outcomes. A reply that was not sent is NOT_SENT. */
void apimart_read_submit(const struct reply *reply, int64_t now_ms,
                         struct arena *arena, struct outcome *outcome);

/** One of the poll outcomes. An answer about another id is MISSED. */
void apimart_read_poll(const struct reply *reply, struct str provider_task_id,
                       int64_t now_ms, struct arena *arena,
                       struct outcome *outcome);

/** CONTRACT `SUBMIT_DOUBT`. *retention_ms is set where the reply names it. */
enum keys_answer apimart_read_schema(const struct reply *reply,
                                     int64_t *retention_ms);

/** Whether the hold may be lifted; *message says in words why not. */
bool apimart_read_probe(enum hold_reason reason, const struct reply *reply,
                        struct arena *arena, struct str *message);

#endif
