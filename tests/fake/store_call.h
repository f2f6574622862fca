#ifndef FAKE_STORE_CALL_H
#define FAKE_STORE_CALL_H

#include "edge/accepted.h"
#include "fake/store.h"

/** A call of the store on its way. Between store*.c only,
 * but for a scene that makes a lane slow. */

struct store {
    struct list link; /* in tables->stores */
    struct list ops;
    struct world *world;
    struct loop *loop;
    store_state_fn *on_state;
    void *context;
    bool up;
    bool together;
    struct call *looking;   /* at budgets */
    int64_t free_ms[3];     /* when a lane is free */
    int64_t answered_ms[3]; /* answers keep their order */
};

enum store_lane { LANE_DATA, LANE_LEASE, LANE_MONEY };

struct call;
typedef void call_fn(struct call *call);

struct call {
    struct op op;
    struct store *store;
    call_fn *run;    /* on the tables, at once */
    call_fn *answer; /* on the loop */
    enum store_lane lane;
    enum unit unit;
    struct err err;
    void *context;
    union {
        intake_fn *on_intake;
        sources_fn *on_sources;
        turn_fn *on_turn;
        store_id_fn *on_id;
        store_done_fn *on_done;
        beat_fn *on_beat;
        count_fn *on_count;
        unreadable_fn *on_rows;
        places_fn *on_places;
        share_look_fn *on_look;
        learn_fn *on_learnt;
        prices_fn *on_prices;
        accepted_fn *on_accepted;
        budgets_fn *on_budgets;
    };
    union {
        struct {
            struct intake_row *rows;
            int64_t owner;
            int64_t known_from_ms;
            struct intake_result result;
        } intake;
        struct {
            struct str *ids;
            struct source *found;
            size_t len;
        } sources;
        struct {
            struct turn ask;
            struct turn_result result;
        } turn;
        struct {
            struct beat ask;
            struct beat_result result;
        } beat;
        struct count_result count;
        struct {
            struct budget_row *rows;
            size_t len;
        } budgets;
        struct {
            struct share_look ask;
            struct share_seen *seen;
            size_t len;
        } look;
        struct {
            struct places ask;
            struct places_result result;
        } places;
        struct {
            struct accepted_ask ask;
            struct accepted_result result;
        } accepted;
        struct {
            int64_t id;
            bool done;
            bool waiting;
            struct str text;
            struct str other;
            enum hold_reason reason;
            int64_t at_ms;
            int64_t more_ms;
            enum keys_answer answer;
            struct limit limit;
        } small;
    };
    struct {
        enum learn_end end;
        const char *there;
    } learn;
    const struct join_account *join; /* store_join() */
    size_t join_len;
    bool join_shares;
};

struct call *call_new(struct store *store, call_fn *run, call_fn *answer,
                      void *context);
void call_go(struct call *call, enum store_lane lane);
/** Answered with an error at once; what has left may be done all the same. */
void call_refuse(struct call *call, const char *why);

/* ---- store_places.c ---- */

/** A row of `account`; null: there is none. */
struct account_of_all *find_account(struct tables *tables, const char *account);
/** Made if it isn't there. */
struct account_of_all *made_account(struct tables *tables, const char *account);
/** A worker has it: the first of a name says where it is. */
void note_account(struct tables *tables, const struct join_account *join);

/** Some are taken. */
void run_places(struct call *call);

/** A row that is taken over brings its own. */
void places_bring(struct tables *tables, const struct task_row *row,
                  const struct turn *turn);

/** Those of all add up to no more than the limit, and no claim exceeds it. */
void places_hold(struct tables *tables, const struct turn *turn);

/* ---- store_share.c ---- */

/** Whether claims are by tenants. */
bool tenants_share(const struct tables *tables);

/** Who waits and who occupies. */
void run_tenants(struct call *call);

/** What its turn says of what it occupies. */
void run_uses(struct tables *tables, const struct turn *turn);

/** So many of that tenant may be claimed of those that were asked for. */
int share_left(struct tables *tables, const struct turn *turn,
               const struct share_ask *ask, bool locked);

/** One more is occupied. */
void share_use(struct tables *tables, int64_t lease,
               const struct record_of *record);

/** No tenant is above its cap. */
void shares_hold(const struct tables *tables, const struct turn *turn);

/* ---- store_money.c ---- */

/** Of those that a claim picked, what has no room is barred. */
void budgets_bar(struct tables *tables, const struct turn *turn,
                 struct turn_result *result, struct record_of **picks,
                 size_t len);

/** It is claimed. */
void budgets_reserve(struct tables *tables, const struct turn *turn,
                     const struct record_of *record);

/** Money moves with what was saved. */
void budgets_move(struct tables *tables, const struct turn *turn);

/** No claim exceeds a budget. */
void budgets_hold(struct tables *tables, const struct turn *turn,
                  const struct turn_result *result);

/** The answer of a store_done_fn. */
void call_answer_done(struct call *call);

#endif
