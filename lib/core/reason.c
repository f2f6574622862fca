#include "core/reason.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/** In words of people, where a try of that kind came to nothing; else null. */
static const char *const words[OUTCOMES_LEN] = {
    [OUTCOME_NOT_SENT] = "not_sent",
    [OUTCOME_PUT_OFF] = "put_off",
    [OUTCOME_REFUSED] = "refused",
    [OUTCOME_UNANSWERED] = "unanswered",
    [OUTCOME_INDETERMINATE] = "indeterminate",
    [OUTCOME_DENIED] = "denied",
    [OUTCOME_MISSED] = "missed",
    [OUTCOME_FETCH_FAILED] = "fetch_failed",
    [OUTCOME_FETCH_REFUSED] = "fetch_refused",
    [OUTCOME_UNUSABLE] = "unusable",
    [OUTCOME_STORE_FAILED] = "store_failed",
    [OUTCOME_UNANNOUNCED] = "unannounced",
};

static const char *const shared_names[] = {
#define X(name, text) text,
    SHARED_REASONS(X)
#undef X
};

const char *shared_reason_name(enum shared_reason reason)
{
    assert(reason < SHARED_REASONS_LEN);
    return shared_names[reason];
}

const char *reason_word(size_t i)
{
    static const char *const more[] = {"unreadable", "no_url", NULL};
    for (size_t kind = 0; kind < OUTCOMES_LEN; kind++) {
        if (words[kind] && i-- == 0) {
            return words[kind];
        }
    }
    assert(i < sizeof more / sizeof *more);
    return more[i];
}

/** The provider knows the task, and has nothing to fetch. */
static bool is_without_url(const struct outcome *outcome,
                           const struct step *step)
{
    return step->next.row.state == READY && !step->next.row.result &&
           (outcome->kind == OUTCOME_FINISHED ||
            outcome->kind == OUTCOME_STILL_RUNNING ||
            outcome->kind == OUTCOME_UPSTREAM_FAILED);
}

enum reason_act reason_act(enum task_state from, const struct outcome *outcome,
                           const struct step *step)
{
    assert(outcome && step);
    if (step->next.row.state != from) {
        return REASON_OVER;
    }
    if (words[outcome->kind] || is_without_url(outcome, step)) {
        return REASON_NOTED;
    }
    if (from == SUBMITTING && outcome->kind == OUTCOME_TAKEN_OVER) {
        return REASON_NOTED;
    }
    /* READY is polled for a fresh URL only: that poll brings no video home. */
    bool well = from != READY && (outcome->kind == OUTCOME_STILL_RUNNING ||
                                  outcome->kind == OUTCOME_FINISHED);
    return well ? REASON_OVER : REASON_STAYS;
}

/** A doubt that was answered, in a way that says nothing, is another than one
 * without an answer. */
static const char *word_of(const struct outcome *outcome)
{
    if (outcome->kind == OUTCOME_UNANSWERED && outcome->http_status) {
        return "unreadable";
    }
    if (outcome->kind == OUTCOME_TAKEN_OVER) {
        return "unanswered";
    }
    return words[outcome->kind] ? words[outcome->kind] : "no_url";
}

static struct str message_of(const struct outcome *outcome)
{
    if (outcome->kind == OUTCOME_TAKEN_OVER) {
        return STR("its worker ended before an answer was stored");
    }
    if (outcome->message.len) {
        return outcome->message;
    }
    return words[outcome->kind]
               ? STR("")
               : STR("the provider completed it and names no video");
}

void reason_answer(char *out, size_t out_bytes, int http_status,
                   struct str message)
{
    assert(out_bytes >= 32);
    size_t n = 0;
    out[0] = '\0';
    if (http_status) {
        n = (size_t)snprintf(out, out_bytes, "HTTP %d%s", http_status,
                             message.len ? ": " : "");
    }
    size_t room = out_bytes - n - 1;
    if (message.len > room) {
        message.len = room;
        /* No character is cut in the middle. */
        while (message.len &&
               ((unsigned char)message.at[message.len] & 0xc0) == 0x80) {
            message.len--;
        }
    }
    bool text = str_is_utf8(message);
    for (size_t i = 0; i < message.len; i++) {
        unsigned char c = (unsigned char)message.at[i];
        out[n++] = c < ' ' || c == 0x7f || (!text && c >= 0x80) ? ' ' : (char)c;
    }
    out[n] = '\0';
}

void reason_note(struct reason *reason, const struct outcome *outcome,
                 const struct step *step, int64_t now_ms, int64_t next_ms)
{
    assert(reason_act(step->next.row.state, outcome, step) == REASON_NOTED);
    if (!reason->word) {
        reason->since_ms = now_ms;
    }
    reason->word = word_of(outcome);
    reason->tries += 1;
    reason->next_ms = next_ms;
    reason->shared = step->hold != HOLD_NONE;
    reason_answer(reason->answer, sizeof reason->answer, outcome->http_status,
                  message_of(outcome));
}
