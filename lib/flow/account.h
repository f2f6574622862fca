#ifndef FLOW_ACCOUNT_H
#define FLOW_ACCOUNT_H

#include "core/accounts.h"
#include "flow/gate.h"
#include "flow/keys.h"
#include "flow/slots.h"

/**
 * What is one's own with every account at the provider: whether a submission
 * may begin, whether its keys are honoured, how much it takes at once.
 */
struct account {
    const struct account_settings *settings;
    struct lane lane;
    struct keys keys;
    struct slots slots;
    struct metric *open; /* 1: it takes new requests */
    struct metric *cost; /* of its settled tasks */
};

/** Those of a worker, in the order of their settings. */
struct account_list {
    const struct accounts *settings;
    struct gate *gate;
    struct account at[ACCOUNTS_MAX];
    struct account_turn turns[ACCOUNTS_MAX]; /* whose turn it is */
    size_t len;
};

struct account_ties {
    struct loop *loop;
    struct store *store;
    struct poller *poller;
    struct metrics *metrics;
    struct gate *gate;
    enum submit_doubt submit_doubt;
};

/** Settings and ties outlive it. false: no memory; account_list_done() is still
 * allowed. */
MUST_CHECK bool account_list_init(struct account_list *list,
                                  const struct accounts *settings,
                                  const struct account_ties *ties);
void account_list_done(struct account_list *list);

/** Whose name and URL the row bears, by its task_row.account; null: nobody's
 * here. */
struct account *account_of(struct account_list *list, const char *row_account);

/** Under which key what concerns the row is asked for: its own if we have it,
 * else the one in use; null: the account is not ours. */
const struct apimart *account_apimart(struct account_list *list,
                                      const char *row_account);

/** Whether that is a key that new requests go under; *at: whose. */
bool account_is_used(const struct account_list *list, const char *account,
                     size_t *at);

/** The names of those that take submissions now: ACCOUNTS_MAX at most. Returns
 * how many. */
size_t account_names(const struct account_list *list, struct str *names);

/** Whether any of them takes submissions now: holds, not slots. */
bool account_any_may_submit(const struct account_list *list);

/** How many submissions may begin, of those in `wanted` (bits, by place).
 * returning: as gate_submits_room() has it. Never more than SUBMITS_MAX. */
int account_room(const struct account_list *list, uint32_t wanted,
                 bool returning);

/** Who claims next, and how many: those in `wanted` that may submit and have
 * room; at most `most` in all. 0: nobody. */
int account_choose(struct account_list *list, uint32_t wanted, int most,
                   bool returning, size_t *at);

/** No slot comes back with the turn that is gathered from now on. */
void account_gather(struct account_list *list);

/** That one was given so many. */
void account_served(struct account_list *list, size_t at, int count);

/** When what was perhaps sent before the database was set back may be sent:
 * core/doubt.h. Only where one account and key leave no doubt whose it was. */
int64_t account_resend_after_ms(const struct account_list *list,
                                int64_t now_ms);

/** Each one's keys: a loop_fn of the provider's and the store's coming back. */
void account_ask_all(struct account_list *list);
void account_tell_all(struct account_list *list);
void account_stop_all(struct account_list *list);

/** What the whole fleet may have submitting and running; 0: no limit. */
int64_t account_slots_of_all(const struct account_list *accounts,
                             int generations_max);

#endif
