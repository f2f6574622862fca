#include "table.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_MAX 16
#define COLUMN_WIDTH_MIN 6
#define GAP 2

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

void table_init(struct table *table, const char *const *heads, size_t columns)
{
    *table = (struct table){.heads = heads, .columns = columns};
}

void table_add(struct table *table, const char *const *cells)
{
    if (table->rows == table->rows_size) {
        size_t size = table->rows_size ? table->rows_size * 2 : 32;
        char **grown =
            realloc(table->cells, size * table->columns * sizeof *grown);
        if (!grown) {
            table->failed = true;
            return;
        }
        table->cells = grown;
        table->rows_size = size;
    }
    for (size_t i = 0; i < table->columns; i++) {
        table->cells[table->rows * table->columns + i] =
            text_for_people(cells[i]);
    }
    table->rows++;
}

static const char *cell(const struct table *table, size_t row, size_t column)
{
    const char *text = table->cells[row * table->columns + column];
    return text ? text : "";
}

static size_t points(const char *text)
{
    return str_is_utf8(str_of(text)) ? str_code_points(str_of(text))
                                     : strlen(text);
}

static void measure(const struct table *table, size_t *widths)
{
    for (size_t c = 0; c < table->columns; c++) {
        widths[c] = points(table->heads[c]);
        for (size_t r = 0; r < table->rows; r++) {
            size_t width = points(cell(table, r, c));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
}

/** Takes columns from the widest until the row fits. */
static void fit(size_t *widths, size_t columns, size_t room)
{
    for (;;) {
        size_t sum = (columns - 1) * GAP;
        size_t widest = 0;
        for (size_t c = 0; c < columns; c++) {
            sum += widths[c];
            widest = widths[c] > widths[widest] ? c : widest;
        }
        if (sum <= room || widths[widest] <= COLUMN_WIDTH_MIN) {
            return;
        }
        widths[widest]--;
    }
}

static void print_cell(const char *text, size_t width, bool last)
{
    size_t len = points(text);
    if (len > width) {
        struct str cut = str_cut_points(str_of(text), width - 1);
        printf("%.*s…", (int)cut.len, cut.at);
        len = width;
    } else {
        fputs(text, stdout);
    }
    if (!last) {
        printf("%*s", (int)(width - len + GAP), "");
    }
}

void table_print(const struct table *table, int width)
{
    size_t widths[COLUMNS_MAX];
    size_t columns =
        table->columns < COLUMNS_MAX ? table->columns : COLUMNS_MAX;
    measure(table, widths);
    if (width > 0) {
        fit(widths, columns, (size_t)width);
    }
    for (size_t c = 0; c < columns; c++) {
        print_cell(table->heads[c], widths[c], c + 1 == columns);
    }
    putchar('\n');
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            print_cell(cell(table, r, c), widths[c], c + 1 == columns);
        }
        putchar('\n');
    }
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    *table = (struct table){0};
}
