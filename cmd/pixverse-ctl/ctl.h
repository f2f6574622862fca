#ifndef PIXVERSE_CTL_CTL_H
#define PIXVERSE_CTL_CTL_H

#include "base/settings.h"
#include "edge/consumer.h"
#include "edge/inspect.h"
#include "options.h"

#include <jansson.h>

/** Exit statuses; others are CONTRACT's for the worker only. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_LEFT = 3, /* some were left out: of an order about many, or cells */
};

/** One of several databases: cells.h. */
struct cell {
    char *name;
    char *url;
    struct inspect *inspect; /* null: not connected */
    bool away;               /* it was asked, and did not answer */
    char why[500];
};

/** What every command gets. */
struct ctl {
    struct settings settings;
    /* KAFKA_CONF_*, as the edges take them */
    struct kafka_property *properties;
    struct inspect *inspect; /* null until ctl_database() */
    /* of a command that knows them, with DATABASE_URLS (cells.h) */
    struct cell *cells;
    size_t cells_len;
    struct cell *cell; /* who is asked; null: the one of DATABASE_URL */
    bool hushed;       /* who is away is not said on standard error */
    bool json;         /* JSON lines on standard output */
    int width;         /* of the terminal; 0: none */
    bool colours;      /* standard output shows them */
    /* as it came, secrets too; null but for a command that `spawns` */
    char **environment;
};

/** One subcommand. */
struct command {
    const char *name;
    const char *usage; /* its words */
    const char *help;  /* one line */
    const char *text;  /* examples and what else one should know */
    const struct option *options;
    int (*run)(struct ctl *ctl, const struct options *options);
    bool bare;   /* it needs no settings */
    bool cells;  /* it asks all cells */
    bool spawns; /* runs others of these commands, with the same settings */
};

extern const struct command command_submit;
extern const struct command command_list;
extern const struct command command_show;
extern const struct command command_explain;
extern const struct command command_link;
extern const struct command command_watch;
extern const struct command command_retry;
extern const struct command command_cancel;
extern const struct command command_attach;
extern const struct command command_rewind;
extern const struct command command_account;
extern const struct command command_tenant;
extern const struct command command_stats;
extern const struct command command_rejected;
extern const struct command command_announce;
extern const struct command command_budget;
extern const struct command command_pause;
extern const struct command command_resume;
extern const struct command command_prune;
extern const struct command command_doctor;
extern const struct command command_completion;
extern const struct command command_man;

/** All of them, a null behind the last. */
extern const struct command *const commands[];
extern const struct command command_workers;
extern const struct command command_top;
extern const struct command command_console;

/** The database, or that of the cell whose turn it is, connected at first use;
 * false after saying why not. */
bool ctl_database(struct ctl *ctl);

/**
 * Rows of sql/query/<query>.sql, each of one column that holds a JSON object.
 *
 * @return  A JSON array, the caller's; null after saying why not.
 */
json_t *ctl_rows(struct ctl *ctl, const char *query, const char *const *params,
                 size_t params_len);

/** One JSON object on one line of standard output. */
void ctl_print_json(const json_t *value);

/** Print a usage fault; returns EXIT_USAGE. */
int ctl_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fields of rows; "" or 0 where they are not. */
const char *row_text(const json_t *row, const char *name);
int64_t row_number(const json_t *row, const char *name);

/** "12 s", "3 min 05 s", "2 h 10 min", "3 d 4 h". */
const char *format_duration(int64_t duration_ms, char *out, size_t out_bytes);
const char *format_bytes(int64_t bytes, char *out, size_t out_bytes);

/** A line of text for people, control bytes taken out. */
void print_for_people(const char *text);

#endif
