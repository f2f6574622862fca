#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "fault_order.h"
#include "http_request.h"
#include "index.h"
#include "options.h"
#include "reply.h"
#include "sale.h"

enum { GAP_MS_MAX = 60000, STATUS_MAX = 600 };

/** An API key that was seen. */
struct api_key {
    char *text;
    char fingerprint[17];   /* start of its SHA-256 */
    int64_t balance_micros; /* of its own; -1: it has none */
    int64_t slots;          /* of its own; 0: it has none */
    int64_t spent_micros;
    uint32_t accepted;
    uint32_t running; /* sales that are not over */
    uint32_t running_peak;
};

/** What is known under an Idempotency-Key. */
struct replay {
    char *key;
    uint32_t api_key;
    uint32_t sale;            /* INDEX_NONE: nothing accepted under it */
    char digest[65];          /* of the body that was accepted */
    int64_t accepted_ms;      /* monotonic */
    int64_t running_until_ms; /* the first call is under way */
    uint32_t sends;           /* POSTs that arrived under it */
};

/** Counts since the start or the last reset. */
struct counts {
    uint64_t posts, posts_again, accepted, replayed;
    uint64_t refused[STATUS_MAX]; /* POSTs by HTTP status, 4xx and 5xx */
    uint64_t polls, polls_late, polls_unknown;
    uint64_t downloads, downloads_whole, download_bytes;
    uint64_t schema, balance, faults;
    uint32_t gaps[GAP_MS_MAX + 1]; /* between polls of a sale, by ms */
};

/** Everything the simulated provider knows. */
struct world {
    struct options options;
    struct faults faults;
    struct sale **sales;
    uint32_t sales_count, sales_room;
    struct index sales_by_tail; /* the id after "task_" */
    struct replay *replays;
    uint32_t replays_count, replays_room;
    struct index replays_by_key;
    struct api_key *keys;
    uint32_t keys_count;
    int64_t spent_micros;
    struct heap running;   /* sales that are not over, by their end */
    uint32_t running_peak; /* the most of them at once */
    struct counts counts;
    uint64_t salt; /* ids of two runs differ */
    uint64_t request_number;
    int64_t now_us; /* Unix time of the request being answered */
    int64_t now_ms; /* monotonic */
    char base[300]; /* http://host:port of the request being answered */
};

/** Which call a request is, and what it is about. */
struct site {
    struct world *world;
    enum fault_on on;
    const struct http_request *request;
    struct reply *reply;
    uint32_t api_key;      /* whose; INDEX_NONE: not accepted */
    uint32_t replay;       /* its Idempotency-Key's record, or INDEX_NONE */
    struct sale *sale;     /* found or made; null: none */
    uint32_t file;         /* of the sale, for a download */
    bool file_expired;     /* by its name */
    uint64_t file_salt;    /* above 0: serve other bytes than the true ones */
    struct sale_view view; /* a poll's answer, if `viewed` */
    bool viewed;
    bool accepted;             /* this POST made the sale */
    const struct fault *fault; /* the one that spoils this call, or null */
};

void world_init(struct world *world, const struct options *options);
void world_done(struct world *world);
/** Forget sales, keys and counts; faults too. */
void world_reset(struct world *world);

/** The key's index, noted if new; INDEX_NONE if it is not accepted. */
uint32_t world_key(struct world *world, struct str key);

/** The sale of an id, or null. */
struct sale *world_sale(const struct world *world, struct str id);

/** Accept an order: a sale, billed. */
struct sale *world_accept(struct world *world, const struct order *order,
                          struct str body, uint32_t api_key);

/** What is left of the balance that the key's sales are paid from; negative:
 * it is unlimited. */
int64_t world_balance(const struct world *world, uint32_t api_key);

/** How many sales run now; those that are over leave the count. */
size_t world_running(struct world *world);

/** Puts a sale among those that run, or where its new end belongs. */
void world_run(struct world *world, struct sale *sale);

/** The record under an Idempotency-Key, made if there is none (index). */
uint32_t world_replay(struct world *world, uint32_t api_key, struct str key);

/** A sale that failed without cost gives the money back, once. */
void world_settle(struct world *world, struct sale *sale);

/** SHA-256 in hex. */
void world_digest(struct str bytes, char out[65]);

/** An answer in the provider's error envelope. `code` is JSON, or null. */
void world_error(struct site *site, int status, const char *type,
                 const char *code, const char *message, const char *param);

#endif
