#include "core/retry.h"
#include "lib/check.h"
#include "unit/step_task.h"

/** One row of the specification. Jitter is 0: waits are at their shortest. */
struct spec {
    int line;
    enum task_state from;
    struct given given;
    struct outcome outcome;
    int64_t at; /* after T0 */
    enum task_state to;
    int what; /* SAVE, SETTLES */
    enum failure_kind kind;
    int64_t wait; /* until it is due */
    int sends;
    bool doubt;
    enum hold_reason hold;
};

#define SAVE 1
#define SETTLES 2
#define END (SAVE | SETTLES)

/* clang-format off */
#define G(...) {__VA_ARGS__}
#define O(name, ...) {.kind = OUTCOME_##name __VA_OPT__(,) __VA_ARGS__}
#define ROW(from, given, outcome, at, to, what, kind, wait, sends, doubt, hold) \
    {__LINE__, from, given, outcome, at, to, what, kind, wait, sends, doubt, hold},

#define ID      .provider_task_id = {"task_1", 6}
#define URLS(n, end) "[{\"url\":\"https://a/" n "\",\"expires_at\":" end "}]"
#define URL_OF(n, end) .result = {URLS(n, end), sizeof URLS(n, end) - 1}
#define REPLAY  .policy = DOUBT_REPLAY
#define CANCELLED .policy = DOUBT_REPLAY, .memo = {.cancel = true}
#define NOW     0
#define POLL    -1 /* its next place in the interval: retry_phase_ms() */
#define LOOK    (8 * S) /* a doubt looks about again */
#define NO      FAILURE_NONE
#define NONE    HOLD_NONE

static const struct spec specs[] = {
    /*  from        given                                     outcome                                              at          to          what    kind                     wait     sends doubt  hold */
    /* QUEUED: nothing that was sent can have been accepted */
    ROW(QUEUED,     G(0),                                     O(CLAIMED),                                       M,          SUBMITTING, SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(QUEUED,     G(.tries = 3),                            O(CLAIMED),                                       M,          SUBMITTING, SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(QUEUED,     G(0),                                     O(TAKEN_OVER),                                    M,          QUEUED,     0,      NO,                      NOW,     0, false, NONE)
    ROW(QUEUED,     G(.deadline = M),                         O(TIME_UP),                                       M,          FAILED,     END,    FAILURE_TIMED_OUT,       NOW,     0, false, NONE)
    ROW(QUEUED,     G(.deadline = 2 * M),                     O(TIME_UP),                                       M,          QUEUED,     SAVE,   NO,                      NOW,     0, false, NONE)
    ROW(QUEUED,     G(0),                                     O(TIME_UP),                                       9 * H,      QUEUED,     SAVE,   NO,                      NOW,     0, false, NONE)
    ROW(QUEUED,     G(.kind = FAILURE_SOURCE_FAILED),         O(TIME_UP),                                       M,          FAILED,     END,    FAILURE_SOURCE_FAILED,   NOW,     0, false, NONE)
    ROW(QUEUED,     G(.kind = FAILURE_SOURCE_FAILED),         O(TIME_UP),                                       12 * H,     FAILED,     END,    FAILURE_SOURCE_FAILED,   NOW,     0, false, NONE)
    ROW(QUEUED,     G(.kind = FAILURE_SOURCE_FAILED, .deadline = M), O(TIME_UP),                                2 * M,      FAILED,     END,    FAILURE_SOURCE_FAILED,   NOW,     0, false, NONE)
    ROW(QUEUED,     G(.kind = FAILURE_SOURCE_FAILED, CANCELLED), O(TIME_UP),                                    M,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     0, false, NONE)
    ROW(QUEUED,     G(0),                                     O(CANCEL_ORDERED),                                M,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     0, false, NONE)

    /* SUBMITTING, nothing doubtful behind it: a refusal speaks for all */
    ROW(SUBMITTING, G(.sends = 1),                            O(ACCEPTED, ID),                                     S,          RUNNING,    SAVE,   NO,                      POLL,    1, false, NONE)
    ROW(SUBMITTING, G(.sends = 1, .deadline = S),             O(ACCEPTED, ID),                                     2 * S,      RUNNING,    SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(NOT_SENT),                                      S,          QUEUED,     SAVE,   NO,                      NOW,     0, false, NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(PUT_OFF, .hold = HOLD_THROTTLE),                   S,          QUEUED,     SAVE,   NO,                      NOW,     0, false, NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(PUT_OFF, .hold = HOLD_BALANCE),                    S,          QUEUED,     SAVE,   NO,                      NOW,     0, false, NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(PUT_OFF, .hold = HOLD_AUTH),                       S,          QUEUED,     SAVE,   NO,                      NOW,     0, false, NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(REFUSED, .failure = FAILURE_INVALID_REQUEST),      S,          FAILED,     END,    FAILURE_INVALID_REQUEST, NOW,     1, false, NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(REFUSED, .failure = FAILURE_SUBMIT_REFUSED),       S,          FAILED,     END,    FAILURE_SUBMIT_REFUSED,  NOW,     1, false, NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(REFUSED, .failure = FAILURE_MODERATION),           S,          FAILED,     END,    FAILURE_MODERATION,      NOW,     1, false, NONE)

    /* SUBMITTING: no answer is doubt */
    ROW(SUBMITTING, G(.sends = 1, REPLAY),                    O(UNANSWERED),                                    S,          SUBMITTING, 0,      NO,                      S / 2,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1),                            O(UNANSWERED),                                    S,          SUBMITTING, 0,      NO,                      LOOK,    1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, .policy = DOUBT_SETTLE),    O(UNANSWERED),                                    40 * S,     SUBMITTING, 0,      NO,                      5 * S,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, .foreign = true, REPLAY),   O(UNANSWERED),                                    S,          SUBMITTING, 0,      NO,                      LOOK,    1, true,  HOLD_ACCOUNT)
    ROW(SUBMITTING, G(.sends = 1, REPLAY),                    O(TAKEN_OVER),                                    M,          SUBMITTING, 0,      NO,                      NOW,     1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, .id = true, REPLAY),        O(TAKEN_OVER),                                    M,          RUNNING,    SAVE,   NO,                      POLL,    1, false, NONE)
    ROW(SUBMITTING, G(.sends = 1, .doubt = true, REPLAY),     O(INDETERMINATE),                                 10 * S,     SUBMITTING, SAVE,   NO,                      LOOK,    4, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, REPLAY),                    O(PUT_OFF, .hold = HOLD_THROTTLE, .key_running = 1), S,          SUBMITTING, SAVE,   NO,                      S / 2,   1, true,  NONE)

    /* SUBMITTING in doubt: what a later send is told delays the next replay, no more, and gives its count back */
    ROW(SUBMITTING, G(.sends = 1, .doubt = true, REPLAY),     O(REPLAY_INTENT),                                 M,          SUBMITTING, SAVE,   NO,                      NOW,     2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(ACCEPTED, ID),                                     M,          RUNNING,    SAVE,   NO,                      POLL,    2, false, NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(NOT_SENT),                                      M,          SUBMITTING, SAVE,   NO,                      S / 2,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(PUT_OFF, .hold = HOLD_THROTTLE),                   M,          SUBMITTING, SAVE,   NO,                      S / 2,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(PUT_OFF, .retry_after_ms = M),                     M,          SUBMITTING, SAVE,   NO,                      LOOK,    1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(PUT_OFF, .hold = HOLD_AUTH),                       M,          SUBMITTING, SAVE,   NO,                      S / 2,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(PUT_OFF, .hold = HOLD_BALANCE),                    M,          SUBMITTING, SAVE,   NO,                      S / 2,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(PUT_OFF, .key_running = true),                     M,          SUBMITTING, SAVE,   NO,                      S / 2,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(REFUSED, .failure = FAILURE_INVALID_REQUEST),      M,          SUBMITTING, SAVE,   NO,                      5 * S,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(REFUSED, .failure = FAILURE_MODERATION),           M,          SUBMITTING, SAVE,   NO,                      5 * S,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(UNANSWERED),                                    M,          SUBMITTING, 0,      NO,                      S,       2, true,  NONE)

    /* cancelled: a doubt is resolved first, without another send */
    ROW(QUEUED,     G(CANCELLED),                             O(TIME_UP),                                       M,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     0, false, NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, .last_sent = M, REPLAY), O(CANCEL_ORDERED),                    M + 40 * S, SUBMITTING, 0,      NO,                      5 * S,   2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, .last_sent = M, REPLAY), O(CANCEL_ORDERED),                    M + S,      SUBMITTING, 0,      NO,                      LOOK,    2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, .last_sent = M, CANCELLED), O(TIME_UP),                        M + 44 * S, SUBMITTING, 0,      NO,                      S,       2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, .last_sent = M, CANCELLED), O(TIME_UP),                        M + 45 * S, FAILED,     END,    FAILURE_CANCELLED,       NOW,     2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, .foreign = true, CANCELLED), O(TIME_UP),                       H,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, CANCELLED),                 O(TAKEN_OVER),                                    40 * S,     SUBMITTING, 0,      NO,                      8 * S,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, CANCELLED),                 O(UNANSWERED),                                    40 * S,     SUBMITTING, 0,      NO,                      5 * S,   1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, CANCELLED),                 O(NOT_SENT),                                      S,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     0, false, NONE)
    ROW(SUBMITTING, G(.sends = 1, CANCELLED),                 O(PUT_OFF, .hold = HOLD_BALANCE),                 S,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     0, false, NONE)
    ROW(SUBMITTING, G(.sends = 1, CANCELLED),                 O(REFUSED, .failure = FAILURE_MODERATION),        S,          FAILED,     END,    FAILURE_MODERATION,      NOW,     1, false, NONE)
    ROW(SUBMITTING, G(.sends = 1, CANCELLED),                 O(ACCEPTED, ID),                                  S,          RUNNING,    SAVE,   NO,                      POLL,    1, false, NONE)

    /* SUBMITTING in doubt: its end */
    ROW(SUBMITTING, G(.sends = 1, .doubt = true, .policy = DOUBT_SETTLE), O(TIME_UP),                           44 * S,     SUBMITTING, 0,      NO,                      S,       1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, .doubt = true, .policy = DOUBT_SETTLE), O(TIME_UP),                           45 * S,     FAILED,     END,    FAILURE_SUBMIT_UNKNOWN,  NOW,     1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 4, .doubt = true, .last_sent = M, REPLAY), O(TIME_UP),                           M + 44 * S, SUBMITTING, 0,      NO,                      S,       4, true,  NONE)
    ROW(SUBMITTING, G(.sends = 4, .doubt = true, .last_sent = M, REPLAY), O(TIME_UP),                           M + 45 * S, FAILED,     END,    FAILURE_SUBMIT_UNKNOWN,  NOW,     4, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(TIME_UP),                                       20 * H - 1, SUBMITTING, 0,      NO,                      NOW,     2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 2, .doubt = true, REPLAY),     O(TIME_UP),                                       20 * H,     FAILED,     END,    FAILURE_SUBMIT_UNKNOWN,  NOW,     2, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, .doubt = true),             O(TIME_UP),                                       20 * H - 1, SUBMITTING, 0,      NO,                      1,       1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, .doubt = true),             O(TIME_UP),                                       20 * H,     FAILED,     END,    FAILURE_SUBMIT_UNKNOWN,  NOW,     1, true,  NONE)
    ROW(SUBMITTING, G(.sends = 1, .doubt = true, .foreign = true, .policy = DOUBT_SETTLE), O(TIME_UP),          H,          SUBMITTING, 0,      NO,                      LOOK,    1, true,  HOLD_ACCOUNT)
    ROW(SUBMITTING, G(.sends = 1, .doubt = true, .foreign = true, REPLAY), O(TIME_UP),                          20 * H,     FAILED,     END,    FAILURE_SUBMIT_UNKNOWN,  NOW,     1, true,  NONE)

    /* RUNNING: a poll writes no row */
    ROW(RUNNING,    G(0),                                     O(STILL_RUNNING),                                 M,          RUNNING,    0,      NO,                      POLL,    1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(STILL_RUNNING),                                 3 * H - S,  RUNNING,    0,      NO,                      S,       1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(TAKEN_OVER),                                    M,          RUNNING,    0,      NO,                      NOW,     1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(ACCEPTED, ID),                                     M,          RUNNING,    0,      NO,                      NOW,     1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(FINISHED, .result = {URL, sizeof URL - 1}),        M,          READY,      SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(FINISHED),                                      M,          READY,      SAVE,   NO,                      POLL,    1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(UPSTREAM_FAILED, .failure = FAILURE_PROVIDER_FAILED), M,       FAILED,     END,    FAILURE_PROVIDER_FAILED, NOW,     1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(UPSTREAM_FAILED, .failure = FAILURE_MODERATION),   M,          FAILED,     END,    FAILURE_MODERATION,      NOW,     1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(UPSTREAM_FAILED, .failure = FAILURE_CANCELLED),    M,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(MISSED),                                        M,          RUNNING,    0,      NO,                      2500,    1, false, NONE)
    ROW(RUNNING,    G(.memo.misses = 9),                      O(MISSED),                                        M,          RUNNING,    0,      NO,                      30 * S,  1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(MISSED, .retry_after_ms = M),                      M,          RUNNING,    0,      NO,                      M,       1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(MISSED, .hold = HOLD_AUTH),                        M,          RUNNING,    0,      NO,                      2500,    1, false, HOLD_AUTH)
    ROW(RUNNING,    G(0),                                     O(CANCEL_ORDERED),                                M,          FAILED,     END,    FAILURE_CANCELLED,       NOW,     1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(TIME_UP),                                       3 * H - 1,  RUNNING,    0,      NO,                      1,       1, false, NONE)
    ROW(RUNNING,    G(0),                                     O(TIME_UP),                                       3 * H,      FAILED,     END,    FAILURE_TIMED_OUT,       NOW,     1, false, NONE)
    ROW(RUNNING,    G(.deadline = M),                         O(TIME_UP),                                       M,          FAILED,     END,    FAILURE_TIMED_OUT,       NOW,     1, false, NONE)
    /* denied: from 2 min after acceptance, 5 times, over 10 min */
    ROW(RUNNING,    G(.memo = {.denials = 4, .denied_since_ms = T0 - H}), O(DENIED, .same_key = true),             2 * M - 1,  RUNNING,    0,      NO,                      POLL,    1, false, NONE)
    ROW(RUNNING,    G(.memo.denials = 3, .memo.denied_since_ms = T0 + 2 * M), O(DENIED, .same_key = true),         15 * M,     RUNNING,    0,      NO,                      POLL,    1, false, NONE)
    ROW(RUNNING,    G(.memo.denials = 9, .memo.denied_since_ms = T0 + 2 * M), O(DENIED, .same_key = true),         12 * M - 1, RUNNING,    0,      NO,                      POLL,    1, false, NONE)
    ROW(RUNNING,    G(.memo.denials = 4, .memo.denied_since_ms = T0 + 2 * M), O(DENIED, .same_key = true),         12 * M,     FAILED,     END,    FAILURE_TASK_LOST,       NOW,     1, false, NONE)
    ROW(RUNNING,    G(.memo.denials = 99, .memo.denied_since_ms = T0), O(DENIED),                               2 * H,      RUNNING,    0,      NO,                      M,       1, false, HOLD_ACCOUNT)

    /* READY: a paid video; no deadline cuts it */
    ROW(READY,      G(0),                                     O(TAKEN_OVER),                                    M,          READY,      0,      NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.deadline = M),                         O(TIME_UP),                                       9 * H,      READY,      0,      NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(0),                                     O(ACCEPTED, ID),                                     M,          READY,      0,      NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(0),                                     O(TAKES_LONG),                                    M,          READY,      0,      NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.memo = {.unsaved = true}),             O(TAKES_LONG),                                    M,          READY,      SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.memo = {.unsaved = true}),             O(STORED, .stored_ms = T0 + M),                      M,          SUCCEEDED,  END,    NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.memo = {.unsaved = true}),             O(FETCH_FAILED),                                  M,          READY,      SAVE,   NO,                      S / 2,   1, false, NONE)
    ROW(READY,      G(.memo = {.unsaved = true}),             O(OVERSIZE),                                      M,          FAILED,     END,    FAILURE_ASSET_UNUSABLE,  NOW,     1, false, NONE)
    ROW(READY,      G(0),                                     O(STORED, .stored_ms = T0 + M),                      M,          SUCCEEDED,  END,    NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.late = true),                          O(STORED, .stored_ms = T0 + M),                      M,          SUCCEEDED,  END,    NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(0),                                     O(FETCH_FAILED),                                  M,          READY,      0,      NO,                      S / 2,   1, false, NONE)
    ROW(READY,      G(.memo.misses = 9),                      O(FETCH_FAILED),                                  9 * H,      READY,      0,      NO,                      30 * S,  1, false, NONE)
    ROW(READY,      G(0),                                     O(FETCH_REFUSED),                                 M,          READY,      0,      NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.memo.misses = 1),                      O(FETCH_REFUSED),                                 M,          READY,      0,      NO,                      S,       1, false, NONE)
    ROW(READY,      G(0),                                     O(STORE_FAILED, .hold = HOLD_STORAGE),               M,          READY,      0,      NO,                      S / 2,   1, false, HOLD_STORAGE)
    ROW(READY,      G(0),                                     O(OVERSIZE),                                      M,          FAILED,     END,    FAILURE_ASSET_UNUSABLE,  NOW,     1, false, NONE)
    ROW(READY,      G(.late = true),                          O(OVERSIZE),                                      M,          CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(0),                                     O(CANCEL_ORDERED),                                M,          READY,      0,      NO,                      NOW,     1, false, NONE)
    /* whole, and no video: three times the same over an hour */
    ROW(READY,      G(0),                                     O(UNUSABLE, .hash = {"ab", 2}),                      M,          READY,      SAVE,   NO,                      S,       1, false, NONE)
    ROW(READY,      G(.unusable = "2 1795327260000 ab"),            O(UNUSABLE, .hash = {"ab", 2}),                      9 * M,      READY,      SAVE,   NO,                      S,       1, false, NONE)
    ROW(READY,      G(.unusable = "3 1795327260000 ab"),            O(UNUSABLE, .hash = {"ab", 2}),                      9 * M,      READY,      0,      NO,                      S,       1, false, NONE)
    ROW(READY,      G(.unusable = "3 1795327260000 ab", .memo.misses = 4), O(UNUSABLE, .hash = {"ab", 2}),               9 * M,      READY,      0,      NO,                      16 * S,  1, false, NONE)
    ROW(READY,      G(.unusable = "3 1795327260000 ab", .memo.misses = 30), O(UNUSABLE, .hash = {"ab", 2}),              9 * M,      READY,      0,      NO,                      5 * M,   1, false, NONE)
    ROW(READY,      G(.unusable = "3 1795327260000 ab", .memo.misses = 30), O(UNUSABLE, .hash = {"ab", 2}),              61 * M - 1, READY,      0,      NO,                      1,       1, false, NONE)
    ROW(READY,      G(.unusable = "2 1795327260000 ab"),            O(UNUSABLE, .hash = {"ab", 2}),                      61 * M,     FAILED,     END,    FAILURE_ASSET_UNUSABLE,  NOW,     1, false, NONE)
    ROW(READY,      G(.unusable = "3 1795327260000 ab"),            O(UNUSABLE, .hash = {"ab", 2}),                      61 * M,     FAILED,     END,    FAILURE_ASSET_UNUSABLE,  NOW,     1, false, NONE)
    ROW(READY,      G(.unusable = "3 1795327260000 ab"),            O(UNUSABLE, .hash = {"cd", 2}),                      61 * M,     READY,      SAVE,   NO,                      S,       1, false, NONE)
    ROW(READY,      G(.unusable = "1 1795327200000 ab"),            O(UNUSABLE, .hash = {"ab", 2}),                      9 * H,      READY,      SAVE,   NO,                      S,       1, false, NONE)
    ROW(READY,      G(.unusable = "1 1795327200000 ab", .memo.misses = 5), O(FINISHED, .result = {URL, sizeof URL - 1}), M,          READY,      0,      NO,                      NOW,     1, false, NONE)
    /* polled afresh: another URL is tried at once, the same one until it has expired and was refused */
    ROW(READY,      G(.memo.refusals = 1, .memo.misses = 1),  O(FINISHED, .result = {"[1]", 3}),                   M,          READY,      SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.memo.refusals = 1, .memo.misses = 1),  O(FINISHED, .result = {URL, sizeof URL - 1}),        M,          READY,      0,      NO,                      S,       1, false, NONE)
    ROW(READY,      G(.memo.refusals = 1, .memo.misses = 1),  O(FINISHED, .result = {URL, sizeof URL - 1}),        H,          FAILED,     END,    FAILURE_ASSET_EXPIRED,   NOW,     1, false, NONE)
    ROW(READY,      G(0),                                     O(FINISHED, .result = {URL, sizeof URL - 1}),        H,          READY,      0,      NO,                      S / 2,   1, false, NONE)
    /* the same one with another end; other ones, over by their own word */
    ROW(READY,      G(.memo.refusals = 1, .memo.misses = 1),  O(FINISHED, URL_OF("0", "1795330799000")),           H,          FAILED,     END,    FAILURE_ASSET_EXPIRED,   NOW,     1, false, NONE)
    ROW(READY,      G(.memo.refusals = 1, .memo.misses = 1),  O(FINISHED, URL_OF("0", "1795330801000")),           H,          READY,      SAVE,   NO,                      S,       1, false, NONE)
    ROW(READY,      G(.memo.misses = 1),                      O(FINISHED, URL_OF("0", "1795330799000")),           H,          READY,      SAVE,   NO,                      S,       1, false, NONE)
    ROW(READY,      G(.memo.refusals = 2, .memo.misses = 1),  O(FINISHED, URL_OF("1", "1795330799000")),           H,          READY,      SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.memo.refusals = 3, .memo.misses = 1),  O(FINISHED, URL_OF("1", "1795330799000")),           H,          FAILED,     END,    FAILURE_ASSET_EXPIRED,   NOW,     1, false, NONE)
    ROW(READY,      G(.memo.refusals = 3, .memo.misses = 1),  O(FINISHED, URL_OF("1", "1795330801000")),           H,          READY,      SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.memo.refusals = 1),                    O(UPSTREAM_FAILED, .failure = FAILURE_PROVIDER_FAILED), H,       FAILED,     END,    FAILURE_ASSET_EXPIRED,   NOW,     1, false, NONE)
    ROW(READY,      G(.memo.refusals = 1),                    O(STILL_RUNNING),                                 M,          READY,      0,      NO,                      S / 2,   1, false, NONE)
    ROW(READY,      G(.memo.refusals = 1),                    O(DENIED, .same_key = true),                         H,          FAILED,     END,    FAILURE_ASSET_EXPIRED,   NOW,     1, false, NONE)
    ROW(READY,      G(.memo.refusals = 1),                    O(DENIED),                                        H,          READY,      0,      NO,                      S / 2,   1, false, HOLD_ACCOUNT)
    ROW(READY,      G(.memo.refusals = 1),                    O(MISSED),                                        H,          READY,      0,      NO,                      S / 2,   1, false, NONE)
    /* a silent host counts as refusing 24 h after the URL's end */
    ROW(READY,      G(0),                                     O(FETCH_FAILED),                                  25 * H - 1, READY,      0,      NO,                      S / 2,   1, false, NONE)
    ROW(READY,      G(0),                                     O(FETCH_FAILED),                                  25 * H,     READY,      0,      NO,                      NOW,     1, false, NONE)
    /* completed without a URL: until LATE_MS */
    ROW(READY,      G(.no_result = true),                     O(FINISHED, .result = {URL, sizeof URL - 1}),        M,          READY,      SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(READY,      G(.no_result = true),                     O(FINISHED),                                      24 * H - 1, READY,      0,      NO,                      S / 2,   1, false, NONE)
    ROW(READY,      G(.no_result = true),                     O(FINISHED),                                      24 * H,     FAILED,     END,    FAILURE_ASSET_UNUSABLE,  NOW,     1, false, NONE)

    /* settled: to be told, whatever else is said */
    ROW(SUCCEEDED,  G(0),                                     O(TAKEN_OVER),                                    M,          SUCCEEDED,  0,      NO,                      NOW,     1, false, NONE)
    ROW(SUCCEEDED,  G(0),                                     O(TIME_UP),                                       M,          SUCCEEDED,  0,      NO,                      NOW,     1, false, NONE)
    ROW(SUCCEEDED,  G(0),                                     O(CANCEL_ORDERED),                                M,          SUCCEEDED,  0,      NO,                      5 * S,   1, false, NONE)
    ROW(SUCCEEDED,  G(0),                                     O(ACCEPTED, ID),                                     M,          SUCCEEDED,  0,      NO,                      NOW,     1, false, NONE)
    ROW(SUCCEEDED,  G(0),                                     O(UNANNOUNCED),                                   M,          SUCCEEDED,  0,      NO,                      S / 2,   1, false, NONE)
    ROW(SUCCEEDED,  G(0),                                     O(ANNOUNCED),                                     M,          CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_MODERATION),            O(TAKEN_OVER),                                    M,          FAILED,     0,      NO,                      NOW,     1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_MODERATION),            O(TIME_UP),                                       M,          FAILED,     0,      NO,                      NOW,     1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_MODERATION),            O(CANCEL_ORDERED),                                M,          FAILED,     0,      NO,                      5 * S,   1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_MODERATION),            O(ACCEPTED, ID),                                     M,          FAILED,     0,      NO,                      NOW,     1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_MODERATION),            O(UNANNOUNCED),                                   M,          FAILED,     0,      NO,                      S / 2,   1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_MODERATION, .id = true), O(ANNOUNCED),                                    M,          CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_TIMED_OUT),             O(ANNOUNCED),                                     M,          CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_TIMED_OUT, .id = true, .open = true), O(ANNOUNCED),                       M,          LATE,       SAVE,   NO,                      POLL,    1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_TASK_LOST, .id = true, .open = true), O(ANNOUNCED),                       M,          LATE,       SAVE,   NO,                      POLL,    1, false, NONE)
    ROW(FAILED,     G(.kind = FAILURE_SUBMIT_UNKNOWN, .doubt = true), O(ANNOUNCED),                             M,          CLOSED,     SAVE,   NO,                      NOW,     1, true,  NONE)
    ROW(FAILED,     G(.kind = FAILURE_SUBMIT_UNKNOWN, .doubt = true, .id = true), O(ANNOUNCED),                 M,          LATE,       SAVE,   NO,                      POLL,    1, true,  NONE)
    ROW(FAILED,     G(.kind = FAILURE_TIMED_OUT, .id = true, .open = true), O(ANNOUNCED),                       24 * H,     CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)

    /* LATE: every 60 s to 2 h 30, then hourly, until LATE_MS; never a second failure */
    ROW(LATE,       G(.late = true),                          O(TAKEN_OVER),                                    3 * H,      LATE,       0,      NO,                      NOW,     1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(ACCEPTED, ID),                                     3 * H,      LATE,       0,      NO,                      NOW,     1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(STILL_RUNNING),                                 150 * M - 1, LATE,      0,      NO,                      48 * S,  1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(STILL_RUNNING),                                 150 * M,    LATE,       0,      NO,                      48 * M,  1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(STILL_RUNNING),                                 24 * H - S, LATE,       0,      NO,                      S,       1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(DENIED, .same_key = true),                         3 * H,      LATE,       0,      NO,                      48 * M,  1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(MISSED),                                        3 * H,      LATE,       0,      NO,                      48 * M,  1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(FINISHED, .result = {URL, sizeof URL - 1}),        3 * H,      READY,      SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(UPSTREAM_FAILED, .failure = FAILURE_PROVIDER_FAILED), 3 * H,   CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(CANCEL_ORDERED),                                3 * H,      CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(TIME_UP),                                       3 * H,      LATE,       0,      NO,                      48 * M,  1, false, NONE)
    ROW(LATE,       G(.late = true),                          O(TIME_UP),                                       24 * H,     CLOSED,     SAVE,   NO,                      NOW,     1, false, NONE)
};

/* Which outcomes can happen in which state, in the order of OUTCOMES. */
static const char *const possible[TASK_STATES_LEN] = {
    /*              CTTC AARPRUI SFUDM TSFFUOS AU */
    [QUEUED]     = "xxxx ....... ..... ....... ..",
    [SUBMITTING] = ".xxx xxxxxxx ..... ....... ..",
    [RUNNING]    = ".xxx x...... xxxxx ....... ..",
    [READY]      = ".xxx x...... xxxxx xxxxxxx ..",
    [SUCCEEDED]  = ".xxx x...... ..... ....... xx",
    [FAILED]     = ".xxx x...... ..... ....... xx",
    [LATE]       = ".xxx x...... xxxxx ....... ..",
    [CLOSED]     = ".... ....... ..... ....... ..",
};
/* clang-format on */

#define SPECS_LEN (sizeof specs / sizeof *specs)

static void check(const struct spec *spec)
{
    const struct task task = task_of(spec->from, &spec->given);
    const struct policy policy = usual(spec->given.policy);
    const int64_t now_ms = T0 + spec->at;
    const int64_t wait_ms =
        spec->wait == POLL
            ? retry_phase_ms(now_ms, policy.poll_interval_ms, 1) - now_ms
            : spec->wait;
    struct step step = task_step(&task, &spec->outcome, &policy, now_ms);
    const struct task_row *next = &step.next.row;
    char got[300];
    char wanted[300];
    snprintf(wanted, sizeof wanted,
             "line %d: %s save %d settles %d (%s) in %lld, sends %d doubt %d "
             "hold \"%s\"",
             spec->line, task_state_name(spec->to), spec->what & SAVE,
             (spec->what & SETTLES) / SETTLES, failure_kind_name(spec->kind),
             (long long)wait_ms, spec->sends, spec->doubt,
             hold_reason_name(spec->hold));
    snprintf(got, sizeof got,
             "line %d: %s save %d settles %d (%s) in %lld, sends %d doubt %d "
             "hold \"%s\"",
             spec->line, task_state_name(next->state), step.save, step.settles,
             failure_kind_name(step.failure.kind),
             (long long)(step.due_ms - now_ms), next->sends, next->doubt,
             hold_reason_name(step.hold));
    assert_string_equal(got, wanted);
    assert_int_equal(next->version, 7 + step.save);
    assert_int_equal(next->fence, 3);
    assert_int_equal(next->settled_ms, step.settles ? now_ms : 0);
    if (step.settles) {
        assert_int_equal(next->kind, spec->kind);
    }
    task_row_done(&step.next.row);
}

TEST_CASE(task_step__each_row__as_specified)
{
    for (size_t i = 0; i < SPECS_LEN; i++) {
        check(&specs[i]);
    }
}

/** The moves that the picture in core/task.h names; the rest stays. */
static const enum task_state moves[][2] = {
    {QUEUED, SUBMITTING}, {SUBMITTING, QUEUED}, {SUBMITTING, RUNNING},
    {RUNNING, READY},     {LATE, READY},        {READY, SUCCEEDED},
    {QUEUED, FAILED},     {SUBMITTING, FAILED}, {RUNNING, FAILED},
    {READY, FAILED},      {READY, CLOSED},      {SUCCEEDED, CLOSED},
    {FAILED, CLOSED},     {FAILED, LATE},       {LATE, CLOSED},
};

TEST_CASE(task_step__each_row__moves_as_the_picture_says)
{
    enum { LEN = sizeof moves / sizeof *moves };
    bool seen[LEN] = {false};
    for (size_t i = 0; i < SPECS_LEN; i++) {
        size_t at = 0;
        while (at < LEN &&
               (moves[at][0] != specs[i].from || moves[at][1] != specs[i].to)) {
            at++;
        }
        if (at == LEN && specs[i].from != specs[i].to) {
            fail_msg("line %d: no such move in the picture", specs[i].line);
        }
        if (at < LEN) {
            seen[at] = true;
        }
    }
    for (size_t at = 0; at < LEN; at++) {
        if (!seen[at]) {
            fail_msg("no row moves from %s to %s",
                     task_state_name(moves[at][0]),
                     task_state_name(moves[at][1]));
        }
    }
}

static bool is_specified(enum task_state from, enum outcome_kind kind)
{
    for (size_t i = 0; i < SPECS_LEN; i++) {
        if (specs[i].from == from && specs[i].outcome.kind == kind) {
            return true;
        }
    }
    return false;
}

TEST_CASE(step_is_possible__each_cell__listed_and_specified)
{
    for (int from = 0; from < TASK_STATES_LEN; from++) {
        const char *mark = possible[from];
        for (int kind = 0; kind < OUTCOMES_LEN; kind++) {
            mark += *mark == ' ';
            bool can = step_is_possible((enum task_state)from,
                                        (enum outcome_kind)kind);
            if (can != (*mark == 'x') ||
                can != is_specified((enum task_state)from,
                                    (enum outcome_kind)kind)) {
                fail_msg("%s x %s", task_state_name((enum task_state)from),
                         outcome_kind_name((enum outcome_kind)kind));
            }
            mark++;
        }
        assert_int_equal(*mark, '\0');
    }
}

TESTS_RUN(NULL, NULL)
