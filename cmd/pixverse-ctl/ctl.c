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

static void on_row(void *context, const char *const *names,
                   const struct str *values, size_t len)
{
    (void)names;
    json_t *rows = context;
    json_t *row =
        len > 0 && values[0].at
            ? json_loadb(values[0].at, values[0].len, JSON_ALLOW_NUL, NULL)
            : NULL;
    if (row) {
        json_array_append_new(rows, row);
    }
}

json_t *ctl_rows(struct ctl *ctl, const char *query, const char *const *params,
                 size_t params_len)
{
    if (!ctl_database(ctl)) {
        return NULL;
    }
    struct err err = {0};
    json_t *rows = json_array();
    struct inspect *inspect = ctl->cell ? ctl->cell->inspect : ctl->inspect;
    if (inspect_rows(inspect, query, params, params_len, on_row, rows, &err)) {
        return rows;
    }
    if (ctl->cell) {
        cell_fails(ctl, err.text);
    } else {
        fprintf(stderr, "pixverse-ctl: %s\n", err.text);
    }
    json_decref(rows);
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
    return json_is_real(value) ? (int64_t)json_real_value(value)
                               : json_integer_value(value);
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
