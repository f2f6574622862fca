#include "flow/why.h"

#include <assert.h>
#include <stdio.h>

void why_shared(struct reasons *reasons, const struct gate *gate,
                const struct lane *lane, enum shared_reason reason,
                const struct outcome *outcome)
{
    assert(reason >= 0 && reason < SHARED_REASONS_LEN);
    char answer[REASON_ANSWER_BYTES];
    int64_t now_ms = clock_now_ms(gate->clock);
    int64_t next_ms = clock_of_boot_ms(gate->clock, lane->pace.shut_until_ms);
    reason_answer(answer, sizeof answer, outcome->http_status,
                  outcome->message);
    reasons_shared(reasons, reason, answer, now_ms,
                   next_ms > now_ms ? next_ms
                                    : now_ms + outcome->retry_after_ms);
}

void why_generations(struct reasons *reasons, const struct clock *clock,
                     int most, const struct account *of, bool full)
{
    assert(clock->loop);
    char answer[REASON_ANSWER_BYTES];
    if (of) {
        char slots[SLOTS_WORDS_BYTES];
        slots_words(&of->slots, slots, sizeof slots);
        snprintf(answer, sizeof answer, "account %s: %s%s", of->settings->name,
                 slots,
                 slots_are_learnt(&of->slots)
                     ? ", is used up"
                     : " tasks are submitting or running");
    } else {
        snprintf(answer, sizeof answer,
                 "GENERATIONS_MAX=%d tasks are submitting or running", most);
    }
    if (full) {
        reasons_shared(reasons, SHARED_GENERATIONS_FULL, answer,
                       clock_now_ms(clock), 0);
    } else {
        reasons_shared_over(reasons, SHARED_GENERATIONS_FULL);
    }
}

void why_full(struct reasons *reasons, const struct clock *clock,
              enum shared_reason reason, bool full, const char *setting,
              int most)
{
    assert(reason >= 0 && reason < SHARED_REASONS_LEN);
    assert(setting);
    char answer[REASON_ANSWER_BYTES];
    snprintf(answer, sizeof answer, "%s=%d are under way in this worker",
             setting, most);
    if (full) {
        reasons_shared(reasons, reason, answer, clock_now_ms(clock), 0);
    } else if (reasons->shared[reason].since_ms) {
        reasons_shared_over(reasons, reason);
    }
}
