#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/** A named value of a log line; made by the macros below. */
struct log_field {
    const char *name;
    enum { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_I64, LOG_FIELD_BOOL } type;
    struct str text;
    int64_t number;
};

#define LOG_STR(name, value)                                                   \
    ((struct log_field){(name), LOG_FIELD_STR, (value), 0})
#define LOG_TEXT(name, value) LOG_STR((name), str_of(value))
/** Not there where it is empty; so it comes last. */
#define LOG_LAST(name, value) log_last((name), (value))
#define LOG_I64(name, value)                                                   \
    ((struct log_field){(name), LOG_FIELD_I64, {0}, (int64_t)(value)})
#define LOG_BOOL(name, value)                                                  \
    ((struct log_field){(name), LOG_FIELD_BOOL, {0}, (value)})

/**
 * Lines go to standard error: JSON objects {"time","level","message",…} or
 * text ("time LEVEL message name=value …"). Before log_open(): text, info.
 */
void log_open(enum log_level least, bool json);

/** Where finished lines go, for tests; null: standard error again. */
void log_redirect(void (*write_line)(const char *line, size_t len,
                                     void *context),
                  void *context);

struct log_field log_last(const char *name, struct str value);

bool log_wants(enum log_level level);

/** One line. `fields` may be null, else its last type is LOG_FIELD_END. */
void log_line(enum log_level level, const char *message,
              const struct log_field *fields);

/**
 * Before the process ends: waits until the lines are written, for limit_ms at
 * most; false: who reads them is behind. log_line() itself does not wait for a
 * reader (log_writer.h): lines that find no room are lost, counted, and told.
 */
bool log_flush(int64_t limit_ms);

/** log_at(LOG_INFO, "message", LOG_TEXT("name", value), …) */
#define log_at(level, message, ...)                                            \
    log_line((level), (message),                                               \
             (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

bool log_level_parse(struct str text, enum log_level *level);

#endif
