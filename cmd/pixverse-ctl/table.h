#ifndef PIXVERSE_CTL_TABLE_H
#define PIXVERSE_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/** Rows of text in aligned columns, for a terminal or a pipe. */
struct table {
    const char *const *heads;
    size_t columns;
    char **cells; /* row by row */
    size_t rows;
    size_t rows_size;
    bool failed; /* no memory once */
};

/** @param heads  `columns` of them; outlive the table. */
void table_init(struct table *table, const char *const *heads, size_t columns);

/** Copies the texts (null: empty); bytes that could steer a terminal go. */
void table_add(struct table *table, const char *const *cells);

/**
 * Print it.
 *
 * @param width  In columns: longer rows are cut, widest column first; 0: never.
 */
void table_print(const struct table *table, int width);
void table_done(struct table *table);

/** The terminal's width on standard output; 0: it is no terminal. */
int terminal_width(void);

/** Text for people: control bytes become spaces. Caller frees; null: no memory.
 */
char *text_for_people(const char *text);

#endif
