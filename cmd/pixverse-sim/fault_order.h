#ifndef SIM_FAULT_ORDER_H
#define SIM_FAULT_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Faults as they are ordered; fault.h reads the orders and picks. */

/** Which call a fault spoils; a set. */
enum fault_on {
    ON_SUBMIT = 1,
    ON_POLL = 2,
    ON_DOWNLOAD = 4,
    ON_SCHEMA = 8,
    ON_BALANCE = 16,
    ON_ANY = 31,
};

/** Where in the life of a call a fault strikes. */
enum fault_stage {
    STAGE_ACCEPT, /* a connection came */
    STAGE_HEAD,   /* the head of a request was read */
    /* it changes the sale or file: before a poll or download is answered,
     * after a submission was accepted */
    STAGE_SALE,
    STAGE_REPLY, /* it changes the answer or takes its place */
};

enum { FAULTS_MAX = 1000 };

struct site;
struct fault;

/** A kind of fault: a row of the table in fault_kinds.c. */
struct fault_kind {
    const char *name;
    enum fault_stage stage;
    unsigned int on;   /* the calls it makes sense for */
    bool handled;      /* by default the call is carried out (and billed) */
    bool when_over;    /* strikes only polls of sales that are over */
    bool when_running; /* strikes only polls of sales that are not */
    void (*strike)(const struct fault *fault, struct site *site);
    int status;          /* for kinds that stand for a status */
    const char *type;    /* its error.type */
    const char *code;    /* its error.code as JSON, or null */
    const char *message; /* its error.message */
};

/** An order for a fault, as POST /sim/faults takes it. */
struct fault {
    const struct fault_kind *kind;
    unsigned int on;
    int64_t left;        /* times to strike still; -1: no end */
    int64_t after;       /* fitting calls to let pass first */
    int64_t hits;        /* times it struck */
    double rate;         /* 0..1 of the fitting calls */
    uint64_t drawn;      /* numbers drawn for rate */
    char *match;         /* part of path, body or key; null: all */
    bool handled;        /* the call is carried out (a submission billed) */
    int64_t delay_ms;    /* -1: the kind's own */
    int64_t bytes;       /* -1: the kind's own */
    int64_t status;      /* 0: the kind's own */
    int64_t number;      /* how many, by kind; -1: the kind's own */
    int64_t cost_micros; /* COST_ABSENT, or -2: the kind's own */
    char *body;          /* null: the kind's own */
    char *text;          /* null: the kind's own */
    char *code;          /* null: the kind's own */
    char *url;           /* null: the kind's own */
    char *headers;       /* lines with CRLF, or null */
    char *json;          /* as it was ordered */
};

struct faults {
    struct fault *list;
    size_t count;
};

/** Frees what it holds. */
void fault_done(struct fault *fault);

void faults_clear(struct faults *faults);

#endif
