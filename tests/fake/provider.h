#ifndef FAKE_PROVIDER_H
#define FAKE_PROVIDER_H

#include "core/idempotency.h"
#include "base/str.h"
#include "core/exchange.h"
#include "fake/world.h"

/**
 * The provider: takes submissions, honours keys or not, works for a while,
 * serves videos, and keeps a ledger of what it sold. A request is known by its
 * prompt.
 */

/** What becomes of one POST. */
/* clang-format off */
#define POST_FATES(X)                                                           \
    X(POST_OK, "ok")                                                            \
    X(POST_UNSENT, "unsent")             /* no connection */                    \
    X(POST_LOST_REQUEST, "lost_request") /* left us, never got there */         \
    X(POST_LOST_REPLY, "lost_reply")     /* taken, the connection broke */      \
    X(POST_SLOW, "slow")                 /* taken, no reply in time */          \
    X(POST_STUCK, "stuck")               /* taken long after we gave up */      \
    X(POST_400, "400") X(POST_401, "401") X(POST_402, "402") X(POST_403, "403") \
    X(POST_429, "429") X(POST_500, "500")                                       \
    X(POST_500_TAKEN, "500_taken")       /* taken, and answered with 500 */     \
    X(POST_503, "503")                   /* idempotency_unavailable */          \
    X(POST_RUNNING, "running")           /* 409 idempotency_in_progress */      \
    X(POST_INDETERMINATE, "indeterminate")                                      \
    X(POST_403_PAGE, "403_page")         /* a firewall's, not the provider's */ \
    X(POST_TOP_ID, "top_id")             /* taken, the id at the top */         \
    X(POST_NO_ID, "no_id")               /* taken, and no id is told */
/* clang-format on */

enum post_fate {
#define X(name, text) name,
    POST_FATES(X)
#undef X
        POST_FATES_LEN
};

/** How a task goes at the provider. */
struct plan {
    int64_t run_ms;
    const char *end;     /* its last status: "completed", "failed"… */
    int videos;          /* 0: completed without a URL */
    int64_t url_life_ms; /* 0: no expires_at */
    bool no_fresh_url;   /* an expired URL is never replaced */
    bool unknown;        /* its id is denied */
    bool no_video;       /* what is served is no MP4 */
    bool drips;          /* it comes a byte a second */
    int64_t slow_ms;     /* from a body's head to the rest of it */
    int bad_bodies;      /* the first so many are none, each another */
    bool unmeasured;     /* served without a length: the connection's end */
    int cuts;            /* so many of those, from the first, come cut */
    int overloads; /* so many first sales fail unbilled, for want of room */
};

/** One line of the ledger. */
struct sale {
    char id[40];
    char key[IDEMPOTENCY_KEY_BYTES];
    char bearer[24]; /* whose: the text before its dot, if it has one */
    char prompt[132];
    char source[132]; /* extend_from_task_id; empty: none */
    bool overloaded;  /* failed for want of room: nothing was sold */
    bool crowded;     /* that, since the account has too many under way */
    size_t body_bytes;
    uint64_t body_sum; /* FNV-1a: replays have the same bytes */
    int64_t taken_ms;
    int64_t url_until_ms;
    int url_count;
    int replays;
    int served;
    int64_t polled_ms;  /* last; 0: not yet */
    int64_t gap_min_ms; /* between two polls */
    int64_t gap_max_ms;
    int polls;
    struct plan plan;
};

enum keys_told { KEYS_TOLD_YES, KEYS_TOLD_NO, KEYS_TOLD_NOTHING };

#define SCRIPTS_MAX 64

struct provider {
    struct world *world;
    struct sale **sales; /* pointers that stay */
    size_t sales_len;
    bool honours_keys;
    enum keys_told told;
    int retention_s;    /* what it says of its keys' life */
    int balances;       /* asked for */
    bool balance_empty; /* 402 to all */
    char broke[24];     /* 402 to that account, as `bearer` names it */
    int takes;          /* of each account's at once; 0: any number */
    bool fails;         /* what is beyond that is taken, and fails */
    int64_t refusals;   /* so many were beyond it */
    bool apart;         /* what one account bought is denied to others */
    bool key_refused;   /* 401 to all */
    bool away;          /* no connection at all */
    bool hosts_away;    /* nor to the hosts of its videos */
    int chaos;          /* faults in a thousand exchanges */
    struct {
        char prompt[132];
        char fates[160]; /* words, one a POST */
        size_t at;
        struct plan plan;
        bool planned;
    } scripts[SCRIPTS_MAX];
    size_t scripts_len;
    int64_t posts;
};

struct provider *provider_open(struct world *world);
void provider_close(struct provider *provider);

/** What becomes of the POSTs with that prompt, in order; then "ok". */
void provider_script(struct world *world, const char *prompt,
                     const char *fates);
void provider_plan(struct world *world, const char *prompt, struct plan plan);
struct plan provider_usual_plan(void);

enum post_fate provider_fate(struct provider *provider, struct str body);

struct answer {
    int status;
    struct str body; /* in the arena */
    bool replayed;
};

/** A POST got there. Keys are of one bearer each; its account is what stands
 * before a dot in it. */
struct answer provider_post(struct provider *provider, enum post_fate fate,
                            struct str bearer, struct str key, struct str body,
                            struct arena *arena);
struct answer provider_get(struct provider *provider, struct str bearer,
                           struct str url, struct arena *arena);

/** "a" of "a.2": two keys of one account. */
struct str bearer_account(struct str bearer);
/** Of all that the account bought, how many: those under way, if only these. */
size_t provider_bought(const struct provider *provider, const char *account,
                       bool under_way);

/** Whether it has as many under way as are made at once for one account. */
bool provider_is_crowded(const struct provider *provider, struct str bearer);

/** Whether the host of that URL gives a byte a second. */
bool provider_drips(const struct provider *provider, struct str url);

/** Of the sale that serves that URL; 0: none does. */
int64_t provider_slow_ms(const struct provider *provider, struct str url);

/**
 * What a URL serves; 200, 403 or 404.
 *
 * @param unmeasured  Nobody says where it ends.
 */
int provider_serve(struct provider *provider, struct str url, struct buf *body,
                   bool *unmeasured);

/** The video that was sold. */
void provider_video(const struct sale *sale, int index, struct buf *body);

const struct sale *provider_sale(const struct provider *provider,
                                 const char *id);
/** The last with that prompt; null: none. */
const struct sale *provider_last_sale(const struct provider *provider,
                                      const char *prompt);
/** Sales with that prompt that may cost. */
size_t provider_sold(const struct provider *provider, const char *prompt);
/** Those that had no room, and cost nothing. */
int provider_overloaded(const struct provider *provider, const char *prompt);

#endif
