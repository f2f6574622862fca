#include "table.h"

#include <langinfo.h>
#include <libsmartcols.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- the terminal ---- */

void terminal_init(void)
{
    /* Elsewhere Chinese would be printed as \x…, and counted as bytes. */
    if (!setlocale(LC_CTYPE, "") ||
        strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    }
}

int terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO)) {
        return 0;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return 80;
    }
    return size.ws_col;
}

bool terminal_colours(void)
{
    const char *none = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(none && none[0]) &&
           !(term && strcmp(term, "dumb") == 0);
}

char *text_for_people(const char *text)
{
    char *copy = strdup(text ? text : "");
    for (unsigned char *at = (unsigned char *)copy; at && *at; at++) {
        /* C1 controls come as C2 80..9F; a letter never begins so. */
        bool c1 = *at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if (c1) {
            at[0] = ' ';
            at[1] = ' ';
        } else if (*at < 0x20 || *at == 0x7f) {
            *at = ' ';
        }
    }
    return copy;
}

/* ---- tables ---- */

struct table {
    struct libscols_table *lines;
    size_t columns;
    size_t rows;
};

static const char *const hues[] = {
    [HUE_PLAIN] = NULL,  [HUE_GOOD] = "green",  [HUE_BAD] = "red",
    [HUE_BUSY] = "cyan", [HUE_WAITS] = "brown",
};

struct table *table_new(const struct column *columns)
{
    struct table *table = calloc(1, sizeof *table);
    struct libscols_table *lines = table ? scols_new_table() : NULL;
    bool good = lines != NULL;
    for (; good && columns->head; columns++) {
        int flags = columns->kind == COLUMN_CUT ? SCOLS_FL_TRUNC : 0;
        good = scols_table_new_column(lines, columns->head, 0, flags) != NULL;
        table->columns++;
    }
    if (!good) {
        scols_unref_table(lines);
        free(table);
        return NULL;
    }
    table->lines = lines;
    return table;
}

void table_add(struct table *table, const char *const *cells, size_t coloured,
               enum hue hue)
{
    struct libscols_line *line =
        table ? scols_table_new_line(table->lines, NULL) : NULL;
    for (size_t i = 0; line && i < table->columns; i++) {
        char *text = text_for_people(cells[i]);
        if (text && scols_line_refer_data(line, i, text) != 0) {
            free(text);
        }
    }
    if (line) {
        table->rows++;
        (void)scols_cell_set_color(scols_line_get_cell(line, coloured),
                                   hues[hue]);
    }
}

size_t table_rows(const struct table *table)
{
    return table ? table->rows : 0;
}

void table_print(struct table *table, int width, bool colours)
{
    if (!table) {
        return;
    }
    (void)scols_table_set_termforce(table->lines, width > 0
                                                      ? SCOLS_TERMFORCE_ALWAYS
                                                      : SCOLS_TERMFORCE_NEVER);
    if (width > 0) {
        (void)scols_table_set_termwidth(table->lines, (size_t)width);
    }
    (void)scols_table_enable_colors(table->lines, colours);
    if (table->rows > 0) {
        fflush(stdout);
        (void)scols_print_table(table->lines);
    }
    scols_unref_table(table->lines);
    free(table);
}
