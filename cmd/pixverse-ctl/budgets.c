#include "budgets.h"

#include "cells.h"

#include "core/money.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

#define CELL_BYTES 40

json_t *budgets_read(struct ctl *ctl)
{
    json_t *rows = ctl_rows(ctl, "ctl_budgets", NULL, 0);
    cells_mark(ctl, rows);
    return rows;
}

/** As PostgreSQL writes it. */
static const char *amount_of(const json_t *row, const char *name, char *out)
{
    const json_t *value = json_object_get(row, name);
    char text[MONEY_TEXT_BYTES];
    snprintf(out, CELL_BYTES, "%s",
             value ? money_text(money_of_cost(json_number_value(value)), text)
                   : "");
    return out;
}

static void add_row(struct table *table, const json_t *row)
{
    static const char *const amounts[] = {"limit", "spent", "reserved",
                                          "doubtful", "forecast"};
    const bool uncounted = json_is_true(json_object_get(row, "uncounted"));
    const bool near = json_is_true(json_object_get(row, "near")) || uncounted;
    char cells[5][CELL_BYTES];
    char used[CELL_BYTES];
    char waiting[CELL_BYTES];
    char resets[25];
    for (size_t i = 0; i < 5; i++) {
        amount_of(row, amounts[i], cells[i]);
    }
    snprintf(used, sizeof used, "%" PRId64 " %%%s",
             row_number(row, "used_percent"),
             uncounted ? ", uncounted"
             : near    ? ", near"
                       : "");
    snprintf(waiting, sizeof waiting, "%" PRId64, row_number(row, "waiting"));
    str_time(row_number(row, "resets_ms"), resets);
    const char *all[] = {row_text(row, "tenant"),
                         row_text(row, "period"),
                         cells[0],
                         used,
                         cells[1],
                         cells[2],
                         cells[3],
                         cells[4],
                         waiting,
                         resets,
                         row_text(row, "cell")};
    table_add(table, all, 0, near ? HUE_WAITS : HUE_PLAIN);
}

void budgets_print(const struct ctl *ctl, const json_t *rows)
{
    const struct column columns[] = {
        {"TENANT", COLUMN_WHOLE},
        {"PERIOD", COLUMN_WHOLE},
        {"LIMIT", COLUMN_WHOLE},
        {"USED", COLUMN_WHOLE},
        {"SPENT", COLUMN_WHOLE},
        {"RESERVED", COLUMN_CUT},
        {"DOUBTFUL", COLUMN_CUT},
        {"FORECAST", COLUMN_CUT},
        {"WAITING", COLUMN_CUT},
        {"RESETS", COLUMN_CUT},
        {ctl->cells_len ? "CELL" : NULL, COLUMN_WHOLE},
        {0},
    };
    struct table *table = json_array_size(rows) > 0 ? table_new(columns) : NULL;
    size_t i;
    const json_t *row;
    if (!table) {
        return;
    }
    json_array_foreach(rows, i, row)
    {
        add_row(table, row);
    }
    table_print(table, ctl->width, ctl->colours);
}
