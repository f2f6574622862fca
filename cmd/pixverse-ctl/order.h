#ifndef PIXVERSE_CTL_ORDER_H
#define PIXVERSE_CTL_ORDER_H

#include "core/task.h"
#include "ctl.h"

/**
 * Orders: what an operator may tell the fleet about one request. Workers go on
 * meanwhile: what an order writes is guarded by conditions of its own.
 */

/**
 * The request's row (sql/query/ctl_order.sql).
 *
 * @param why  Why not, behind its id, for who tells it elsewhere too: left
 *             alone where it can't be asked; null with 0 bytes: nobody.
 * @return     The caller's; null after saying why not.
 */
json_t *order_look(struct ctl *ctl, const char *command, const char *request_id,
                   char *why, size_t why_bytes);

/** An array literal of texts, whatever is in them; buf_done() is due. Without
 * memory it holds no bytes. */
void ids_literal(struct buf *ids, const char *const *request_ids, size_t len);

/**
 * The rows of many, by request id; what isn't stored is not among them.
 *
 * @return  An object, the caller's; null after saying why not.
 */
json_t *order_rows(struct ctl *ctl, const char *const *request_ids, size_t len);

/** Whether no order is possible about it, whatever it is: pruned, or another
 * program's; why goes on behind its id. */
bool order_is_odd(const json_t *row, char *why, size_t why_bytes);

/** What billing is judged by (core/billing.h). */
struct task_row order_task(const json_t *row);

/** "closed as timed_out", "running": for sentences. */
const char *order_state(const json_t *row, char *out, size_t out_bytes);

/** Run a statement that answers a row for each it wrote; -1 after saying
 * why. */
int order_write(struct ctl *ctl, const char *query, const char *const *params,
                size_t params_len);

/**
 * In one transaction that first locks the request of the task params[0]: the
 * first of the queries that writes anything ends it. A row that moves between
 * two tables at this moment may be in neither for a statement: it is tried
 * again.
 *
 * @return  The place of that query, from 1; 0: none wrote; -1 after saying why.
 */
int order_change(struct ctl *ctl, const char *const *queries,
                 size_t queries_len, const char *const *params,
                 size_t params_len);

/** Refuse: prints "pixverse-ctl <command>: <words>"; returns EXIT_FAILED. */
int order_refuse(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
