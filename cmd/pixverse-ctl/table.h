#ifndef PIXVERSE_CTL_TABLE_H
#define PIXVERSE_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/** Rows of text in aligned columns, for a terminal or a pipe (libsmartcols). */
struct table;

struct column {
    const char *head;
    enum {
        COLUMN_CUT,   /* gives way where the terminal is narrow */
        COLUMN_WHOLE, /* an id: people copy it */
    } kind;
};

/** What a cell's colour says; plain where there are no colours. */
enum hue { HUE_PLAIN, HUE_GOOD, HUE_BAD, HUE_BUSY, HUE_WAITS };

/** @param columns  `len` of them; the last has a null head. Null: no memory. */
struct table *table_new(const struct column *columns);

/** Copies the texts (null: empty); bytes that could steer a terminal go.
 *
 * @param coloured  The column that has the hue. */
void table_add(struct table *table, const char *const *cells, size_t coloured,
               enum hue hue);

size_t table_rows(const struct table *table);

/** Print it, at most `width` columns wide (0: as wide as it is), then free
 * it. */
void table_print(struct table *table, int width, bool colours);

/** The locale in which texts are as wide as people see them. */
void terminal_init(void);

/** The terminal's width on standard output; 0: it is no terminal. */
int terminal_width(void);

/** Whether colours are wanted: a terminal, and no NO_COLOR. */
bool terminal_colours(void);

/** Text for people: control bytes become spaces. Caller frees; null: no
 * memory. */
char *text_for_people(const char *text);

#endif
