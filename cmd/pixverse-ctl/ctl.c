#include "ctl.h"

#include "core/json.h"
#include "table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/** The cell whose turn it is did not answer. */
static void cell_fails(struct ctl *ctl, const char *why)
{
    struct cell *cell = ctl->cell;
    cell->away = true;
    snprintf(cell->why, sizeof cell->why, "%s", why);
    inspect_close(cell->inspect);
    cell->inspect = NULL;
    if (!ctl->hushed) {
        fprintf(stderr, "pixverse-ctl: cell %s is left out: %s\n", cell->name,
                cell->why);
    }
}

/** Null: it is away, or was before. */
static struct inspect *open_cell(struct ctl *ctl)
{
    struct cell *cell = ctl->cell;
    struct err err = {0};
    if (!cell->inspect && !cell->away) {
        cell->inspect = inspect_open(cell->url, &err);
        if (!cell->inspect) {
            cell_fails(ctl, err.text);
        }
    }
    return cell->inspect;
}

bool ctl_database(struct ctl *ctl)
{
    struct err err = {0};
    if (ctl->cell) {
        return open_cell(ctl) != NULL;
    }
    if (!ctl->inspect) {
        ctl->inspect = inspect_open(ctl->settings.database_url, &err);
    }
    if (!ctl->inspect) {
        fprintf(stderr,
                "pixverse-ctl: %s\nDATABASE_URL names the database; is it "
                "running, and did pixverse-worker migrate run there?\n",
                err.text);
    }
    return ctl->inspect != NULL;
}

/** Rows as they come. */
struct taken {
    json_t *rows;
    bool failed; /* one can't be read */
};

#define EXACT_MAX 9007199254740992.0 /* 2^53: a double holds each up to it */

/** The whole number that a real is; else null. */
static json_t *whole_of(const json_t *value)
{
    const double real = json_real_value(value);
    const bool small = json_is_real(value) && real > -EXACT_MAX &&
                       real < EXACT_MAX && real == (double)(int64_t)real;
    return small ? json_integer((int64_t)real) : NULL;
}

/** Whole numbers become integers again, at any depth. */
static void make_whole(json_t *value)
{
    const char *name;
    size_t i;
    json_t *one;
    json_object_foreach(value, name, one)
    {
        json_t *whole = whole_of(one);
        if (whole) {
            (void)json_object_set_new(value, name, whole);
        } else {
            make_whole(one);
        }
    }
    json_array_foreach(value, i, one)
    {
        json_t *whole = whole_of(one);
        if (whole) {
            (void)json_array_set_new(value, i, whole);
        } else {
            make_whole(one);
        }
    }
}

/** jansson refuses integers beyond 64 bits, which a sum may be: such a row is
 * read as reals, and what a real holds exactly made whole again. */
static json_t *read_row(struct str text)
{
    json_t *row = json_loadb(text.at, text.len, JSON_ALLOW_NUL, NULL);
    if (!row) {
        row = json_loadb(text.at, text.len,
                         JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
        make_whole(row);
    }
    return row;
}

static void on_row(void *context, const char *const *names,
                   const struct str *values, size_t len)
{
    (void)names;
    struct taken *taken = context;
    if (len == 0 || !values[0].at) {
        return; /* an order that gives nothing back */
    }
    json_t *row = read_row(values[0]);
    if (!row || json_array_append_new(taken->rows, row) != 0) {
        taken->failed = true;
    }
}

json_t *ctl_rows(struct ctl *ctl, const char *query, const char *const *params,
                 size_t params_len)
{
    if (!ctl_database(ctl)) {
        return NULL;
    }
    struct err err = {0};
    struct taken taken = {.rows = json_array()};
    struct inspect *inspect = ctl->cell ? ctl->cell->inspect : ctl->inspect;
    bool good =
        inspect_rows(inspect, query, params, params_len, on_row, &taken, &err);
    if (good && taken.failed) { /* left out without a word it would be lost */
        err_set(&err, ERR_PERMANENT, "%s: a row can't be read", query);
        good = false;
    }
    if (good) {
        return taken.rows;
    }
    if (ctl->cell) {
        cell_fails(ctl, err.text);
    } else {
        fprintf(stderr, "pixverse-ctl: %s\n", err.text);
    }
    json_decref(taken.rows);
    return NULL;
}

void ctl_print_json(const json_t *value)
{
    struct buf text;
    buf_init(&text, 0);
    json_write(&text, value);
    if (text.bytes) {
        puts(text.bytes);
    }
    buf_done(&text);
    fflush(stdout);
}

int ctl_usage(const char *command, const char *format, ...)
{
    fprintf(stderr, "pixverse-ctl %s: ", command);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (pixverse-ctl %s --help tells more)\n", command);
    return EXIT_USAGE;
}

const char *row_text(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

int64_t row_number(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    const double real = json_real_value(value);
    if (!json_is_real(value)) {
        return json_integer_value(value);
    }
    return real >= 0x1p63   ? INT64_MAX
           : real < -0x1p63 ? INT64_MIN
                            : (int64_t)real;
}

const char *format_duration(int64_t duration_ms, char *out, size_t out_bytes)
{
    int64_t s = duration_ms < 0 ? 0 : (duration_ms + 500) / 1000;
    if (s < 60) {
        snprintf(out, out_bytes, "%" PRId64 " s", s);
    } else if (s < 3600) {
        snprintf(out, out_bytes, "%" PRId64 " min %02" PRId64 " s", s / 60,
                 s % 60);
    } else if (s < 86400) {
        snprintf(out, out_bytes, "%" PRId64 " h %02" PRId64 " min", s / 3600,
                 s % 3600 / 60);
    } else {
        snprintf(out, out_bytes, "%" PRId64 " d %" PRId64 " h", s / 86400,
                 s % 86400 / 3600);
    }
    return out;
}

const char *format_bytes(int64_t bytes, char *out, size_t out_bytes)
{
    if (bytes < 1 << 20) {
        snprintf(out, out_bytes, "%.1f KiB", (double)bytes / 1024);
    } else {
        snprintf(out, out_bytes, "%.1f MiB", (double)bytes / (1 << 20));
    }
    return out;
}

void print_for_people(const char *text)
{
    char *copy = text_for_people(text);
    puts(copy ? copy : "");
    free(copy);
}
