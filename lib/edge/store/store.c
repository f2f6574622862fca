#include "edge/store/own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define STATEMENT_MS 30000
#define DATA_SILENCE_MS 35000
#define AGAIN_MAX_MS 5000
/* A batch waits so long for others in a transaction of the engine's rows. */
#define TOGETHER_MS 50
/* unless that is longer than three leases */
#define LEASE_SILENCE_MIN_MS 3000

static const char *const data_queries[] = {
    "early_look",
    "early_lock",
    "intake_cancel",
    "intake",
    "intake_known",
    "accepted_told",
    "accepted_owed",
    "sources",
    "save",
    "again",
    "end",
    "close",
    "told",
    "unblock",
    "facts",
    "reread",
    "lease_lock",
    "claim",
    "claim_budgets",
    "budget_lock",
    "budget_told",
    "money",
    "places_lock",
    "places",
    "places_free",
    "share_look",
    "share_use",
    "share_lock",
    "claim_share",
    "claim_share_budgets",
    "share_tag",
    "slots_lock",
    "slots",
    "limit",
    "expire",
    "leases_dead",
    "adopt",
    "mine",
    "forget_leases",
    "learn",
    "learn_waiting",
    "learn_closed",
    "learn_told",
    "learn_past",
    "learn_found",
    "request_lock",
    "hold_set",
    "hold_lift",
    "hold_probe",
    "unreadable",
    "unreadable_waiting",
    "keys_answer",
    "reason_set",
    "reason_gone",
    "reason_shared",
    "reason_sweep",
    "lock_timeout",
    NULL,
};

static const char *const lease_queries[] = {
    "join",        "join_accounts", "join_urls",    "bump",
    "leases",      "leases_some",   "holds",        "fleet",
    "cancels",     "accounts",      "count",        "vitals",
    "oldest_xmin", "prices",        "lock_timeout", "statement_timeout",
    "end_frozen",  "bury",          "leave",        NULL,
};

/** Tells what is new: up or not, or another reason why not. */
static void tell(struct store *store, const char *why, bool misfit)
{
    bool up = store_is_up(store);
    if (up) {
        why = "";
        misfit = false;
    }
    if (store->told && up == store->told_up && misfit == store->misfit &&
        strcmp(why, store->why) == 0) {
        return;
    }
    store->told = true;
    store->told_up = up;
    store->misfit = misfit;
    snprintf(store->why, sizeof store->why, "%s", why);
    store->on_state(store->context, up, store->why, misfit);
}

/** What is lost on one connection is seldom lost on it alone: a packet of the
 * other one may be sent again long after the outage is over. */
static void doubt_both(struct store *store)
{
    if (store->data && store->lease) {
        pg_lane_doubt(store->data, store->lease_ms / 4);
        pg_lane_doubt(store->lease, store->lease_ms / 4);
    }
}

static void lane_turned(struct store *store, struct pg_lane *lane,
                        struct pg_lane *other, bool up, const char *why,
                        bool misfit)
{
    doubt_both(store);
    if (up) {
        pg_lane_follow(other, lane);
    }
    if (up && store->money) {
        pg_lane_follow(store->money, lane);
    }
    if (up && !store_is_up(store)) {
        return; /* the other lane's turn to speak */
    }
    tell(store, why, misfit);
}

static void on_data_lane(void *context, bool up, const char *why, bool misfit)
{
    struct store *store = context;
    lane_turned(store, store->data, store->lease, up, why, misfit);
}

static void on_lease_lane(void *context, bool up, const char *why, bool misfit)
{
    struct store *store = context;
    lane_turned(store, store->lease, store->data, up, why, misfit);
}

struct store *store_open(struct loop *loop, const struct store_options *options,
                         store_state_fn *on_state, void *context,
                         struct err *err)
{
    assert(on_state);
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        err_set(err, ERR_FATAL, "no memory for the store");
        return NULL;
    }
    store->loop = loop;
    store->on_state = on_state;
    store->context = context;
    store->options = *options;
    store->lease_ms = options->lease_ms;
    store->accepted_events = options->accepted_events;
    int64_t silence_ms = 3 * options->lease_ms;
    if (silence_ms > LEASE_SILENCE_MIN_MS) {
        silence_ms = options->lease_ms > LEASE_SILENCE_MIN_MS
                         ? options->lease_ms
                         : LEASE_SILENCE_MIN_MS;
    }
    struct pg_lane_options lane = {
        .address = {options->url, options->password, options->name},
        .queries = data_queries,
        .statement_ms = STATEMENT_MS,
        .silence_ms = DATA_SILENCE_MS,
        .lease_ms = options->lease_ms,
        .again_max_ms = options->lease_ms / 5 < AGAIN_MAX_MS
                            ? options->lease_ms / 5
                            : AGAIN_MAX_MS,
    };
    store->data = pg_lane_open(loop, &lane, on_data_lane, store, err);
    lane.queries = lease_queries;
    lane.silence_ms = silence_ms;
    lane.statement_ms = silence_ms;
    store->count_ms = silence_ms / 2;
    store->lease = store->data
                       ? pg_lane_open(loop, &lane, on_lease_lane, store, err)
                       : NULL;
    if (!store->lease) {
        pg_lane_close(store->data);
        free(store);
        return NULL;
    }
    return store;
}

bool store_is_up(const struct store *store)
{
    return store->data && store->lease && pg_lane_is_up(store->data) &&
           pg_lane_is_up(store->lease);
}

void store_together(struct store *store)
{
    assert(!store->together);
    store->together = true;
}

void store_send_turn(struct store *store, struct pg_unit *unit)
{
    if (store->together && !store->turn) {
        store->turn = unit;
    } else {
        pg_lane_send(store->data, unit);
    }
}

void store_send_batch(struct store *store, struct pg_unit *unit)
{
    if (store->together && !store->batch) {
        store->batch = unit;
    } else {
        pg_lane_send(store->data, unit);
    }
}

void store_go(struct store *store)
{
    assert(store->together);
    struct pg_unit *turn = store->turn;
    struct pg_unit *batch = store->batch;
    store->together = false;
    store->turn = NULL;
    store->batch = NULL;
    if (turn && batch) {
        pg_unit_call(turn, "lock_timeout");
        pg_unit_i64(turn, TOGETHER_MS);
        pg_lane_send_both(store->data, turn, batch);
    } else if (turn || batch) {
        pg_lane_send(store->data, turn ? turn : batch);
    }
}

void store_close(struct store *store)
{
    if (!store) {
        return;
    }
    assert(!store->together);
    store_budgets_end(store);
    pg_lane_close(store->data);
    store->data = NULL;
    pg_lane_close(store->lease);
    free(store);
}
