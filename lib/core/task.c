#include "core/task.h"

#include <assert.h>
#include <stdlib.h>

static const char *const state_names[] = {
#define X(name, text, owes) text,
    TASK_STATES(X)
#undef X
};

static const char *const kind_names[] = {
#define X(name, text) text,
    FAILURE_KINDS(X)
#undef X
};

const char *task_state_name(enum task_state state)
{
    assert(state >= 0 && state < TASK_STATES_LEN);
    return state_names[state];
}

bool task_state_parse(struct str name, enum task_state *state)
{
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        if (str_eq(name, str_of(state_names[i]))) {
            *state = (enum task_state)i;
            return true;
        }
    }
    return false;
}

enum task_owes task_owes(enum task_state state)
{
    static const enum task_owes owed[] = {
#define X(name, text, owes) [name] = OWES_##owes,
        TASK_STATES(X)
#undef X
    };
    assert(state >= 0 && state < TASK_STATES_LEN);
    return owed[state];
}

const char *task_owes_name(enum task_owes owes)
{
    static const char *const names[] = {
#define X(name, text) text,
        TASK_OWES(X)
#undef X
    };
    assert(owes >= 0 && owes <= OWES_NOTHING);
    return names[owes];
}

const char *failure_kind_name(enum failure_kind kind)
{
    assert(kind >= 0 && kind < FAILURE_KINDS_LEN);
    return kind_names[kind];
}

bool failure_kind_parse(struct str name, enum failure_kind *kind)
{
    for (int i = 1; i < FAILURE_KINDS_LEN; i++) {
        if (str_eq(name, str_of(kind_names[i]))) {
            *kind = (enum failure_kind)i;
            return true;
        }
    }
    return false;
}

bool task_end_is_final(const struct task_row *row)
{
    assert(row->state == SUCCEEDED || row->state == FAILED ||
           row->state == CLOSED);
    return row->kind != FAILURE_TIMED_OUT && row->kind != FAILURE_TASK_LOST &&
           row->kind != FAILURE_SUBMIT_UNKNOWN;
}

bool task_begins_again(const struct task_row *row)
{
    return row->state == QUEUED && row->provider_task_id[0] != '\0';
}

void task_row_done(struct task_row *row)
{
    free(row->source_task_id);
    free(row->result);
    free(row->event);
    row->source_task_id = NULL;
    row->result = NULL;
    row->event = NULL;
}
