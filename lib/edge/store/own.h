#ifndef EDGE_STORE_OWN_H
#define EDGE_STORE_OWN_H

#include "edge/pg/lane.h"
#include "edge/store.h"

/** What the files of the store share; nobody else includes this. */

struct store {
    struct loop *loop;
    struct pg_lane *data;
    struct pg_lane *lease;
    struct pg_lane *money;   /* while this worker looks at budgets; null: not */
    struct looking *looking; /* for whom that lane comes up; null: nobody */
    int64_t again_after[2];  /* money_again.sql goes on behind them */
    struct store_options options; /* its texts outlive us */
    store_state_fn *on_state;
    void *context;
    int64_t count_ms; /* the longest that a beat waits for a count */
    int64_t lease_ms;
    bool accepted_events;
    bool told_up;
    bool told; /* on_state was called at all */
    char why[300];
    bool misfit;
    bool together;         /* store_together() was called, store_go() was not */
    struct pg_unit *turn;  /* given since; null: none, or not to be joined */
    struct pg_unit *batch; /* the same */
};

/** To the data lane, or kept until store_go(). */
void store_send_turn(struct store *store, struct pg_unit *unit);
void store_send_batch(struct store *store, struct pg_unit *unit);

/* ---- rows (row.c) ---- */

/** Columns of one result, by their place; -1: not among them. */
struct row_columns {
    int fields[40];
    int request_id;
    int tenant;
    int traceparent;
    int tracestate;
    int cancel;
    int orphan;
};

void row_columns_find(struct row_columns *columns, const PGresult *result);

/** One array a field, in the order that sql/query/save.sql and close.sql ask
 * for; a closed row's result and event stay as they are stored. */
void rows_add_params(struct pg_unit *unit, const struct task_row *const *rows,
                     size_t len, bool closed);

/** The parameters of sql/query/told.sql. */
void rows_add_told(struct pg_unit *unit, const struct task_row *const *rows,
                   size_t len);

/** Texts stay in the result. */
void task_read_row(struct task_read *read, const struct row_columns *columns,
                   const PGresult *result, int row);

/** All rows of a result; null if there are none. */
struct task_read *task_read_rows(struct arena *arena, const PGresult *result,
                                 size_t *len);

/** The same for facts; null only without memory. */
struct facts_row *facts_read_rows(const struct store *store,
                                  struct arena *arena, const PGresult *result,
                                  size_t *len);

/* ---- rows that wait for a source (chain.c) ---- */

/** Looks at what waits for these tasks and for those requests. */
void unblock_add(struct pg_unit *unit, const int64_t *tasks, size_t tasks_len,
                 const struct str *requests, size_t requests_len);

/** Looks at all sources behind that one, a part of them. */
void unblock_add_part(struct pg_unit *unit, const char *after);

/** Adds what came of either. */
void unblock_take(struct unblocked *out, const PGresult *result);

/* ---- places under the fleet's limit (places.c) ---- */

/** So long after its last bump a dead lease's count no more. */
int64_t places_lapse_ms(const struct store *store);

/* ---- tenants (share.c) ---- */

/** Deep copies of what a turn says of tenants. */
void shares_copy(struct arena *arena, struct turn *turn);

/** What it occupies, if that is to be told. */
void shares_add_uses(struct pg_unit *unit, const struct turn *turn);

/** Of those that have caps one claims at a time; returns the call, which tells
 * whether that is us. */
int shares_add_lock(struct pg_unit *unit, const struct turn *turn);

/** The tenants of a claim, and how many of each. */
void shares_add_plan(struct pg_unit *unit, const struct turn *turn);

/* ---- budgets (budget.c) ---- */

/** The money of rows that were saved in this unit. */
void money_add(struct pg_unit *unit, const struct task_row *const *rows,
               size_t len);

/** What the claim before it met. */
void budget_take_told(struct turn_result *out, const PGresult *result);

/* ---- reasons (reason.c) ---- */

/** Deep copies of what a turn says of reasons. */
void reasons_copy(struct arena *arena, struct turn *turn);

/** Their statements; none if there is nothing to say. */
void reasons_add(struct pg_unit *unit, const struct turn *turn);

/* ---- orders to cancel, as messages ---- */

/** ended: failed; null: each order has its verdict. */
typedef void cancels_fn(void *context, struct pg_unit *ended);

/** Those of a batch; all of it lives as long as the batch. */
struct cancels {
    struct store *store;
    const struct intake_row *rows; /* of the batch, requests among them */
    size_t rows_len;
    enum intake_verdict *verdicts; /* beside each row */
    size_t *asked;                 /* rows that are under way */
    size_t asked_len;
    int64_t known_from_ms;
    bool keep; /* asked once more: those are kept that nobody knows */
    cancels_fn *on_end;
    void *context;
};

/** Stores the orders among the rows, if there are any. false: there are none,
 * and nothing will be called. */
bool cancels_send(struct cancels *cancels);

/* ---- batches that are split where PostgreSQL refuses one row ---- */

/**
 * Rows [from, to) of a batch still to be tried, the next one last. A range
 * that is refused is halved, until the guilty row stands alone.
 */
struct ranges {
    struct range {
        size_t from;
        size_t to;
    } items[40]; /* halves of halves: the depth is a logarithm */
    size_t len;
};

void ranges_push(struct ranges *ranges, size_t from, size_t to);
/** false: none is left. */
bool ranges_pop(struct ranges *ranges, size_t *from, size_t *to);

#endif
