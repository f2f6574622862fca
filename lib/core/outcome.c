#include "core/outcome.h"

#include <assert.h>

static const char *const outcome_names[] = {
#define X(name) #name,
    OUTCOMES(X)
#undef X
};

static const char *const hold_names[] = {
    [HOLD_NONE] = "",
    [HOLD_AUTH] = "auth",
    [HOLD_BALANCE] = "balance",
    [HOLD_CHANNEL] = "channel",
    [HOLD_STORAGE] = "storage",
    [HOLD_ACCOUNT] = "account",
    [HOLD_BUDGET] = "budget",
    [HOLD_OPERATOR] = "operator",
    [HOLD_THROTTLE] = "throttle",
};

const char *outcome_kind_name(enum outcome_kind kind)
{
    assert(kind >= 0 && kind < OUTCOMES_LEN);
    return outcome_names[kind];
}

bool outcome_is_doubt(enum outcome_kind kind)
{
    return kind == OUTCOME_UNANSWERED || kind == OUTCOME_INDETERMINATE;
}

const char *hold_reason_name(enum hold_reason reason)
{
    assert(reason >= 0 && reason < HOLD_REASONS_LEN);
    return hold_names[reason];
}

bool hold_reason_parse(struct str name, enum hold_reason *reason)
{
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        if (str_eq(name, str_of(hold_names[i]))) {
            *reason = (enum hold_reason)i;
            return true;
        }
    }
    return false;
}
