#ifndef CORE_PRICE_H
#define CORE_PRICE_H

#include "base/arena.h"
#include "base/err.h"
#include "core/money.h"
#include "core/request_mode.h"

#include <stddef.h>

/**
 * What a video will cost: an estimate, made at intake of what the price depends
 * on. It comes from the operator's table (PRICES), else from what the like cost
 * of late. Pure.
 */

/** What the price of a request depends on. */
struct price_like {
    enum request_mode mode;
    int resolution; /* lines: 360, 540, 720, 1080 */
    int duration;   /* seconds */
    bool audio;
};

/** One of the provider's defaults, for what a request leaves open. */
#define PRICE_RESOLUTION 540
#define PRICE_DURATION 5

/** The first that fits says the price. */
struct price_rule {
    enum request_mode mode; /* MODE_NONE: any */
    int resolution;         /* 0: any */
    int duration;           /* 0: any */
    int audio;              /* 1 with, 0 without, -1: any */
    money price;
    money per_second; /* and that for each second of duration */
};

struct prices {
    const struct price_rule *rules;
    size_t len;
};

#define PRICE_UNKNOWN INT64_C(-1)
#define PRICE_RULES_MAX 1000

/**
 * Read the setting PRICES: a JSON array of {"mode", "resolution", "duration",
 * "audio", "price", "per_second"}, the first four optional, one of the last two
 * needed.
 *
 * @param arena  Where the rules live.
 * @return       false: *err says which rule is at fault, and how.
 */
MUST_CHECK bool prices_read(struct str text, struct arena *arena,
                            struct prices *prices, struct err *err);

/** What requests of one kind cost of late. */
struct price_seen {
    enum request_mode mode;
    struct str resolution; /* "720p"; absent: the request left it open */
    int duration;          /* 0: left open */
    bool audio;
    money median;
    int64_t count; /* of videos that it was made of, 1 at least */
};

/**
 * Rules of what was seen: the like cost what the like did; others of its mode,
 * and those of other modes, as much as the dearest.
 *
 * @return  false: no memory.
 */
MUST_CHECK bool prices_learn(const struct price_seen *seen, size_t len,
                             struct arena *arena, struct prices *prices);

/** PRICE_UNKNOWN: no rule fits. */
money price_of(const struct prices *prices, const struct price_like *like);

/** The dearest that any request can be; PRICE_UNKNOWN: there are no rules. */
money prices_most(const struct prices *prices);

/** Lines of "720p"; 0: it is none. */
int price_resolution(struct str text);

#endif
