#include "cells.h"

#include "edge/database.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy(struct str text)
{
    return strndup(text.at, text.len);
}

static bool judge(const struct cell *cell, struct buf *faults)
{
    char name[100];
    snprintf(name, sizeof name, "DATABASE_URLS, cell %s", cell->name);
    return database_url_judge(name, cell->url, false, faults);
}

bool cells_open(struct ctl *ctl, struct buf *faults)
{
    struct str rest = str_of(ctl->settings.database_urls);
    struct str name;
    struct str url;
    bool good = true;
    ctl->cells = calloc(SETTING_CELLS_MAX, sizeof *ctl->cells);
    while (ctl->cells && setting_next_cell(&rest, &name, &url)) {
        assert(ctl->cells_len < SETTING_CELLS_MAX); /* the setting was judged */
        struct cell *cell = &ctl->cells[ctl->cells_len++];
        cell->name = copy(name);
        cell->url = copy(url);
        if (!cell->name || !cell->url) {
            return false;
        }
        good = judge(cell, faults) && good;
    }
    return good && ctl->cells;
}

void cells_close(struct ctl *ctl)
{
    for (size_t i = 0; i < ctl->cells_len; i++) {
        struct cell *cell = &ctl->cells[i];
        inspect_close(cell->inspect);
        if (cell->url) {
            explicit_bzero(cell->url, strlen(cell->url));
        }
        free(cell->url);
        free(cell->name);
    }
    free(ctl->cells);
}

size_t cells_len(const struct ctl *ctl)
{
    return ctl->cells_len ? ctl->cells_len : 1;
}

void cells_turn(struct ctl *ctl, size_t i)
{
    assert(i < cells_len(ctl));
    ctl->cell = ctl->cells_len ? &ctl->cells[i] : NULL;
}

const char *cells_name(const struct ctl *ctl)
{
    return ctl->cell ? ctl->cell->name : NULL;
}

void cells_mark(const struct ctl *ctl, json_t *rows)
{
    size_t i;
    json_t *row;
    if (!ctl->cell) {
        return;
    }
    json_array_foreach(rows, i, row)
    {
        json_object_set_new(row, "cell", json_string(ctl->cell->name));
    }
}

void cells_again(struct ctl *ctl)
{
    for (size_t i = 0; i < ctl->cells_len; i++) {
        ctl->cells[i].away = false;
    }
}

json_t *cells_told(const struct ctl *ctl)
{
    json_t *told = json_array();
    for (size_t i = 0; i < ctl->cells_len; i++) {
        const struct cell *cell = &ctl->cells[i];
        json_t *one = json_pack("{s:s}", "cell", cell->name);
        if (cell->away) {
            json_object_set_new(one, "away", json_string(cell->why));
        }
        json_array_append_new(told, one);
    }
    return told;
}

int cells_status(const struct ctl *ctl, int status)
{
    size_t away = 0;
    for (size_t i = 0; i < ctl->cells_len; i++) {
        away += ctl->cells[i].away;
    }
    if (status != EXIT_DONE || !away) {
        return status;
    }
    return away == ctl->cells_len ? EXIT_FAILED : EXIT_LEFT;
}
