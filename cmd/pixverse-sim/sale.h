#ifndef SIM_SALE_H
#define SIM_SALE_H

#include "index.h"
#include "rules.h"

#include "base/buf.h"
#include "base/heap.h"

enum {
    SALE_ID_BYTES = 48,
    SALE_ID_TAIL = 26, /* characters after "task_" */
    SALE_FILES_MAX = 64,
    SALE_POLLS_KEPT = 4, /* times of the latest ones */
};

/** How a sale ends. */
enum fate {
    FATE_COMPLETE,
    FATE_FAIL,
    FATE_CANCEL,
};

#define COST_ABSENT (-1) /* a cost that is not told */

/** A file of a result, remembered once somebody asked. */
struct sale_file {
    uint64_t bytes;     /* 0: not known yet */
    uint32_t downloads; /* GETs, of any part */
    uint32_t whole;     /* that got the last byte */
    char sha256[65];    /* of the true file; empty: not known yet */
};

/** A generation that was accepted, and billed. */
struct sale {
    char id[SALE_ID_BYTES];
    uint32_t number; /* from 0, in order of acceptance */
    uint32_t key;    /* the API key, an index of world.keys */
    uint32_t replay; /* its Idempotency-Key's record, or INDEX_NONE */
    enum mode mode;
    uint32_t width, height, seconds;
    bool audio;
    int64_t cost_micros;
    char *body; /* as it came */
    size_t body_bytes;
    char digest[65]; /* SHA-256 of the body */
    uint64_t seed;
    int64_t accepted_us; /* Unix time */
    int64_t start_ms;    /* on the monotonic clock */
    int64_t latency_ms;
    struct heap_entry running; /* in world.running until it is over */
    enum fate fate;
    char *fail_message;       /* null: the usual */
    char *fail_code;          /* null: task_failed */
    int64_t fail_cost_micros; /* or COST_ABSENT */
    bool refunded;
    uint32_t videos, urls; /* of the result; URLs in each video */
    uint32_t polls, polls_late;
    int64_t last_poll_ms;  /* monotonic; start_ms before the first */
    int64_t first_poll_us; /* Unix time; 0: none */
    int64_t polled_us[SALE_POLLS_KEPT]; /* poll n, from 0, at n modulo that */
    int64_t first_completed_us; /* when `completed` was first answered */
    struct sale_file *files;    /* videos * urls of them, or null */
};

/** How the URL of a video is written. */
enum url_shape {
    URL_LIST,   /* the documented array */
    URL_STRING, /* a plain string */
    URL_EMPTY_LIST,
    URL_EMPTY_STRING,
    URL_NULL,
    URL_SPACED, /* the array, with a space in each URL */
};

/** How error.code is written. */
enum code_shape {
    CODE_TEXT,
    CODE_INTEGER,
    CODE_EMPTY,
    CODE_NULL,
    CODE_ABSENT,
};

/** The answer to a poll, as data that faults may spoil. */
struct sale_view {
    const struct sale *sale;
    const char *id;
    const char *status;
    int64_t progress;
    int64_t cost_micros; /* or COST_ABSENT */
    bool cost_as_text;
    int64_t created_s;
    int64_t completed_s; /* 0: not yet */
    int64_t estimated_s;
    int64_t actual_s;
    bool with_result;
    bool with_videos;
    bool failed; /* with an error */
    enum code_shape code_shape;
    const char *code;
    const char *message;
    enum url_shape url_shape;
    const char *url;  /* instead of the true ones, or null */
    bool url_expired; /* URLs that are over already */
    uint32_t videos, urls;
    int64_t expires_s; /* 0: left out */
    const char *base;  /* before the path: http://host:port */
};

/** When it was last polled, Unix time; 0: never. */
int64_t sale_last_poll_us(const struct sale *sale);

/** Whether its latency has passed: it has ended, whatever way. */
bool sale_is_over(const struct sale *sale, int64_t now_ms);

/** What the provider would say of it now. */
void sale_view(struct sale_view *view, const struct sale *sale, int64_t now_ms,
               int64_t url_ttl_s, const char *base);

/** The body of the answer. */
void sale_view_write(const struct sale_view *view, struct buf *out);

/** Millionths as the fewest decimal digits. */
void sale_write_micros(struct buf *out, int64_t micros);

/** Where a file of a sale is served: /f/video/<tail>-<index>[x].mp4. */
void sale_file_path(const struct sale *sale, uint32_t index, bool expired,
                    struct buf *out);

void sale_done(struct sale *sale);

#endif
