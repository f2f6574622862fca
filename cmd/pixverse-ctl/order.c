#include "order.h"

#include "pruned.h"
#include "row.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TRIES_MAX 3
#define PAUSE_MS 50

void ids_literal(struct buf *ids, const char *const *request_ids, size_t len)
{
    buf_init(ids, 0);
    for (size_t i = 0; i < len; i++) {
        buf_add_text(ids, i ? ",\"" : "{\"");
        for (const char *at = request_ids[i]; *at; at++) {
            if (strchr("\\\"", *at)) {
                buf_add_char(ids, '\\');
            }
            buf_add_char(ids, *at);
        }
        buf_add_char(ids, '"');
    }
    buf_add_text(ids, len ? "}" : "{}");
}

json_t *order_rows(struct ctl *ctl, const char *const *request_ids, size_t len)
{
    struct buf ids;
    ids_literal(&ids, request_ids, len);
    const char *param = ids.bytes;
    json_t *rows = param ? ctl_rows(ctl, "ctl_order", &param, 1) : NULL;
    json_t *by_id = rows ? json_object() : NULL;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_object_set(by_id, row_text(row, "request_id"), row);
    }
    json_decref(rows);
    buf_done(&ids);
    return by_id;
}

bool order_is_odd(const json_t *row, char *why, size_t why_bytes)
{
    if (pruned_at_ms(row)) {
        char words[200];
        snprintf(why, why_bytes, "is over: %s",
                 pruned_words(row, words, sizeof words));
        return true;
    }
    if (row_is_unreadable(row)) {
        snprintf(why, why_bytes,
                 "can't be read by this program (state %" PRId64
                 "): only a later one can say what may be done with it",
                 row_number(row, "state"));
        return true;
    }
    return false;
}

json_t *order_look(struct ctl *ctl, const char *command, const char *request_id,
                   char *why, size_t why_bytes)
{
    char odd[300];
    json_t *rows = order_rows(ctl, &request_id, 1);
    json_t *row = json_incref(json_object_get(rows, request_id));
    if (rows && !row) {
        order_refuse(command,
                     "no request \"%s\" is stored (pixverse-ctl list shows "
                     "those that are)",
                     request_id);
        snprintf(why, why_bytes, "is not stored");
    }
    if (row && order_is_odd(row, odd, sizeof odd)) {
        order_refuse(command, "%s %s", request_id, odd);
        snprintf(why, why_bytes, "%s", odd);
        json_decref(row);
        row = NULL;
    }
    json_decref(rows);
    return row;
}

struct task_row order_task(const json_t *row)
{
    const json_t *cost = json_object_get(row, "cost");
    int64_t kind = row_number(row, "kind");
    struct task_row task = {
        .state = row_state(row),
        .doubt = json_is_true(json_object_get(row, "doubt")),
        .late = json_is_true(json_object_get(row, "late")),
        .submission = (int32_t)row_number(row, "submission"),
        .has_cost = cost != NULL,
        .cost = json_number_value(cost),
        .kind = kind > 0 && kind < FAILURE_KINDS_LEN ? (enum failure_kind)kind
                                                     : FAILURE_NONE,
    };
    snprintf(task.provider_task_id, sizeof task.provider_task_id, "%s",
             row_text(row, "provider_task_id"));
    return task;
}

const char *order_state(const json_t *row, char *out, size_t out_bytes)
{
    const struct task_row task = order_task(row);
    bool over = task.state == CLOSED || task.state == FAILED;
    snprintf(out, out_bytes, "%s%s%s", task_state_name(task.state),
             over ? " as " : "",
             !over                       ? ""
             : task.kind == FAILURE_NONE ? "completed"
                                         : failure_kind_name(task.kind));
    return out;
}

static void count_row(void *context, const char *const *names,
                      const struct str *values, size_t len)
{
    (void)names;
    (void)values;
    (void)len;
    *(int *)context += 1;
}

int order_write(struct ctl *ctl, const char *query, const char *const *params,
                size_t params_len)
{
    struct err err = {0};
    int rows = 0;
    if (!ctl_database(ctl)) {
        return -1;
    }
    if (!inspect_rows(ctl->inspect, query, params, params_len, count_row, &rows,
                      &err)) {
        fprintf(stderr, "pixverse-ctl: %s\n", err.text);
        return -1;
    }
    return rows;
}

static int change_once(struct ctl *ctl, const char *const *queries,
                       size_t queries_len, const char *const *params,
                       size_t params_len)
{
    struct err err = {0};
    if (!inspect_begin(ctl->inspect, &err)) {
        fprintf(stderr, "pixverse-ctl: %s\n", err.text);
        return -1;
    }
    int rows = order_write(ctl, "request_lock", params, 1);
    int which = 0;
    for (size_t i = 0; rows >= 0 && which == 0 && i < queries_len; i++) {
        rows = order_write(ctl, queries[i], params, params_len);
        which = rows > 0 ? (int)i + 1 : 0;
    }
    if (!inspect_commit(ctl->inspect, &err)) {
        fprintf(stderr, "pixverse-ctl: %s\n", err.text);
        return -1;
    }
    return rows < 0 ? -1 : which;
}

int order_change(struct ctl *ctl, const char *const *queries,
                 size_t queries_len, const char *const *params,
                 size_t params_len)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    assert(params_len > 0);
    if (!ctl_database(ctl)) {
        return -1;
    }
    int which = 0;
    for (int tries = 0; which == 0 && tries < TRIES_MAX; tries++) {
        if (tries) {
            nanosleep(&pause, NULL);
        }
        which = change_once(ctl, queries, queries_len, params, params_len);
    }
    return which;
}

int order_refuse(const char *command, const char *format, ...)
{
    fprintf(stderr, "pixverse-ctl %s: ", command);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_FAILED;
}
