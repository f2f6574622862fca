#ifndef EDGE_PG_SQL_TEXT_H
#define EDGE_PG_SQL_TEXT_H

/** A file below sql/, put into the program by the build (sql/embed.cmake). */
struct sql_text {
    const char *name; /* path below sql/, such as "query/save.sql" */
    const char *text;
};

/** All of them, sorted by name; a null name ends the table. */
extern const struct sql_text sql_texts[];

#endif
