#include "flow/turn_crash.h"

#include "base/crashpoint.h"

void turn_crashpoint(const struct task_row *row, bool saved)
{
    (void)row;
    (void)saved;
    const bool again = task_begins_again(row);
    (void)again;
    CRASHPOINT_IF(!saved && again, "attempt_save_before");
    CRASHPOINT_IF(saved && again, "attempt_save_after");
    CRASHPOINT_IF(!saved && row->state == QUEUED && !again, "hand_back_before");
    CRASHPOINT_IF(saved && row->state == QUEUED && !again, "hand_back_after");
    CRASHPOINT_IF(!saved && row->state == SUBMITTING, "replay_save_before");
    CRASHPOINT_IF(saved && row->state == SUBMITTING, "replay_save_after");
    CRASHPOINT_IF(!saved && row->state == RUNNING, "running_save_before");
    CRASHPOINT_IF(saved && row->state == RUNNING, "running_save_after");
    CRASHPOINT_IF(!saved && row->state == READY, "ready_save_before");
    CRASHPOINT_IF(saved && row->state == READY, "ready_save_after");
    CRASHPOINT_IF(!saved && row->state == SUCCEEDED, "stored_save_before");
    CRASHPOINT_IF(saved && row->state == SUCCEEDED, "stored_save_after");
    CRASHPOINT_IF(!saved && row->state == FAILED, "failed_save_before");
    CRASHPOINT_IF(saved && row->state == FAILED, "failed_save_after");
    CRASHPOINT_IF(!saved && row->state == LATE, "late_save_before");
    CRASHPOINT_IF(saved && row->state == LATE, "late_save_after");
    CRASHPOINT_IF(!saved && row->state == CLOSED, "close_save_before");
    CRASHPOINT_IF(saved && row->state == CLOSED, "close_save_after");
}
