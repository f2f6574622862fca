#ifndef CORE_ACCOUNTS_H
#define CORE_ACCOUNTS_H

#include "base/buf.h"
#include "base/err.h"
#include "core/apimart.h"

/**
 * The accounts at the provider that a worker may submit to, as they are set
 * (CONTRACT "Accounts"), and which of them is asked next.
 */

#define ACCOUNTS_MAX 32
#define ACCOUNT_KEYS_MAX 5 /* the one that is used, and old ones */
#define ACCOUNT_WEIGHT_MAX 1000

struct account_settings {
    char name[ACCOUNT_NAME_BYTES];
    int slots;     /* generations at once in the whole fleet; 0: no limit */
    int slots_min; /* what is learnt of that is no less; 0: nothing is */
    int weight;    /* 1..ACCOUNT_WEIGHT_MAX: its part of new requests */
    /* all of one URL; the first is the one that new requests go under */
    struct apimart keys[ACCOUNT_KEYS_MAX];
    size_t keys_len;
};

struct accounts {
    struct account_settings at[ACCOUNTS_MAX];
    size_t len;
};

/** What APIMART_ACCOUNTS is read with. */
struct accounts_reading {
    struct str json;
    struct str base_url; /* of accounts that name none */
    /** The text of a key file, without a line break at its end, in the arena;
     * null, with *why set: it can't be read. */
    const char *(*read_file)(const char *path, struct arena *arena,
                             const char **why);
    bool secret; /* no value is shown: the text came from a file */
    struct arena *arena;
    struct buf *faults;   /* a line a fault: account, field, value, allowed */
    struct buf *warnings; /* a line each */
};

/** false, with every fault told: accounts is not to be used. Texts live in the
 * arena. */
MUST_CHECK bool accounts_parse(const struct accounts_reading *reading,
                               struct accounts *accounts);

/** The one account `default`. URL and key outlive it. */
void accounts_one(struct str base_url, struct str key,
                  struct accounts *accounts);

/** Of the one account: so many slots, of which no less than `least` are learnt.
 */
void accounts_learn(struct accounts *accounts, int least, int slots);

/** Whose name and URL a row bears (task_row.account); accounts->len: nobody's
 * here. */
size_t accounts_find(const struct accounts *accounts, const char *account);

/** The one of that name; accounts->len: there is none. */
size_t accounts_named(const struct accounts *accounts, struct str name);

/** The key that a row was sent under, if it is set; else the one that is used.
 */
const struct apimart *account_key(const struct account_settings *settings,
                                  const char *account);

/** What choosing one goes by. */
struct account_turn {
    bool open;     /* it takes requests now */
    int weight;    /* 1 at least */
    double served; /* requests so far, each counting 1/weight */
};

/** Who is next: of those that are open, the one that was served least, the
 * first of equals; len: nobody is. */
size_t accounts_next(const struct account_turn *turns, size_t len);

/** How many of `room` requests it takes at once, so that those that are open
 * share them by weight: 1 at least where there is room. */
int accounts_part(const struct account_turn *turns, size_t len, size_t next,
                  int room);

/** It took so many. Whoever was closed meanwhile makes up for nothing. */
void accounts_served(struct account_turn *turns, size_t len, size_t at,
                     int count);

#endif
