#include "core/billing.h"

#include <assert.h>
#include <string.h>

enum billing { BILLED_NO, BILLED_YES, BILLED_BY_COST, BILLED_OPEN };

static enum billing billing_of(const struct task_row *row,
                               enum failure_kind kind)
{
    const bool may_be_accepted = row->provider_task_id[0] || row->doubt;
    switch (kind) {
    case FAILURE_INVALID_REQUEST:
    case FAILURE_SUBMIT_REFUSED:
        return BILLED_NO;
    case FAILURE_ASSET_EXPIRED:
    case FAILURE_ASSET_UNUSABLE:
        return BILLED_YES;
    case FAILURE_TIMED_OUT:
    case FAILURE_SOURCE_FAILED:
        return may_be_accepted ? BILLED_OPEN : BILLED_NO;
    case FAILURE_MODERATION:
    case FAILURE_PROVIDER_FAILED:
    case FAILURE_CANCELLED:
        return may_be_accepted ? BILLED_BY_COST : BILLED_NO;
    case FAILURE_NONE:
        return BILLED_BY_COST;
    case FAILURE_SUBMIT_UNKNOWN:
    case FAILURE_TASK_LOST:
        return BILLED_OPEN;
    case FAILURE_KINDS_LEN:
        break;
    }
    assert(!"no such kind");
    return BILLED_OPEN;
}

const char *task_billed(const struct task_row *row, enum failure_kind kind)
{
    switch (billing_of(row, kind)) {
    case BILLED_NO:
        return "no";
    case BILLED_YES:
        return "yes";
    case BILLED_OPEN:
        return "unknown";
    case BILLED_BY_COST:
        break;
    }
    if (!row->has_cost) {
        return "unknown";
    }
    return row->cost > 0 ? "yes" : "no";
}

bool task_retry_safe(const struct task_row *row, enum failure_kind kind)
{
    switch (kind) {
    case FAILURE_INVALID_REQUEST:
    case FAILURE_SUBMIT_REFUSED:
        return true;
    case FAILURE_PROVIDER_FAILED:
    case FAILURE_CANCELLED:
    case FAILURE_TIMED_OUT:
    case FAILURE_SOURCE_FAILED:
        return strcmp(task_billed(row, kind), "no") == 0;
    case FAILURE_NONE:
    case FAILURE_MODERATION:
    case FAILURE_SUBMIT_UNKNOWN:
    case FAILURE_TASK_LOST:
    case FAILURE_ASSET_EXPIRED:
    case FAILURE_ASSET_UNUSABLE:
    case FAILURE_KINDS_LEN:
        break;
    }
    return false;
}
