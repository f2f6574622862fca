#include "base/log.h"

#include "base/buf.h"
#include "base/log_writer.h"

#include <time.h>

static struct {
    enum log_level least;
    bool json;
    void (*write_line)(const char *line, size_t len, void *context);
    void *context;
} out = {.least = LOG_INFO};

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

void log_open(enum log_level least, bool json)
{
    out.least = least;
    out.json = json;
}

void log_redirect(void (*write_line)(const char *line, size_t len,
                                     void *context),
                  void *context)
{
    out.write_line = write_line;
    out.context = context;
}

struct log_field log_last(const char *name, struct str value)
{
    return value.len ? LOG_STR(name, value) : (struct log_field){0};
}

bool log_wants(enum log_level level)
{
    return level >= out.least;
}

static void add_value(struct buf *line, const struct log_field *field,
                      bool quoted)
{
    switch (field->type) {
    case LOG_FIELD_END:
        break;
    case LOG_FIELD_STR:
        if (quoted) {
            buf_add_json(line, field->text);
        } else {
            buf_add_str(line, field->text);
        }
        break;
    case LOG_FIELD_I64:
        buf_add_i64(line, field->number);
        break;
    case LOG_FIELD_BOOL:
        buf_add_text(line, field->number ? "true" : "false");
        break;
    }
}

/** Whether a value may stand in a text line without quotes. */
static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return text.len > 0;
}

static void write_json(struct buf *line, enum log_level level, const char *time,
                       const char *message, const struct log_field *fields)
{
    buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time,
               level_names[level]);
    buf_add_json(line, str_of(message));
    for (; fields && fields->type != LOG_FIELD_END; fields++) {
        buf_add_char(line, ',');
        buf_add_json(line, str_of(fields->name));
        buf_add_char(line, ':');
        add_value(line, fields, true);
    }
    buf_add_text(line, "}\n");
}

static void write_text(struct buf *line, enum log_level level, const char *time,
                       const char *message, const struct log_field *fields)
{
    static const char *const words[] = {
        [LOG_DEBUG] = "DEBUG",
        [LOG_INFO] = "INFO",
        [LOG_WARN] = "WARN",
        [LOG_ERROR] = "ERROR",
    };
    buf_printf(line, "%s %-5s ", time, words[level]);
    /* A line break inside a message would forge a second line. */
    for (const char *c = message; *c; c++) {
        buf_add_char(line, (unsigned char)*c < ' ' ? ' ' : *c);
    }
    for (; fields && fields->type != LOG_FIELD_END; fields++) {
        buf_printf(line, " %s=", fields->name);
        add_value(line, fields, !is_plain(fields->text));
    }
    buf_add_char(line, '\n');
}

static void write_line(enum log_level level, const char *message,
                       const struct log_field *fields)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char time[25];
    str_time((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, time);
    struct buf line;
    buf_init(&line, 0);
    (out.json ? write_json : write_text)(&line, level, time, message, fields);
    if (!line.failed) {
        if (out.write_line) {
            out.write_line(line.bytes, line.len, out.context);
        } else {
            log_writer_put(line.bytes, line.len);
        }
    }
    buf_done(&line);
}

/** Whatever the level: what is missing may have been of any. */
static void tell_lost(void)
{
    uint64_t lost = out.write_line ? 0 : log_writer_take_lost();
    if (lost) {
        const struct log_field fields[] = {LOG_I64("lines", lost), {0}};
        write_line(LOG_WARN, "log lines were lost: who reads them was behind",
                   fields);
    }
}

void log_line(enum log_level level, const char *message,
              const struct log_field *fields)
{
    if (log_wants(level)) {
        tell_lost();
        write_line(level, message, fields);
    }
}

bool log_flush(int64_t limit_ms)
{
    tell_lost();
    return log_writer_flush(limit_ms);
}

bool log_level_parse(struct str text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (str_eq(text, str_of(level_names[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}
