#ifndef EDGE_PG_ARRAY_H
#define EDGE_PG_ARRAY_H

#include "base/buf.h"

/**
 * Arrays of one dimension as PostgreSQL's array_recv() reads them (src/backend/
 * utils/adt/arrayfuncs.c): nothing is quoted, and a number needs no digits.
 */

/** Of the elements; what the statement casts its parameter to. The numbers are
 * those of pg_type, and fixed for ever. */
enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20, /* bigint */
    PG_INT2 = 21, /* smallint */
    PG_INT4 = 23, /* integer */
    PG_TEXT = 25,
    PG_FLOAT8 = 701, /* double precision */
};

/** One that is being written into a buffer. */
struct pg_array {
    struct buf *buf;
    enum pg_type type;
    size_t head; /* where it begins */
    size_t len;  /* elements */
    size_t tail; /* those that are NULL at its end */
    bool nulls;  /* some are NULL */
};

void pg_array_begin(struct pg_array *array, struct buf *buf, enum pg_type type);

/** Of PG_INT2, PG_INT4 or PG_INT8, which the value fits into. */
void pg_array_i64(struct pg_array *array, int64_t value);
void pg_array_bool(struct pg_array *array, bool value);
void pg_array_double(struct pg_array *array, double value);

/** absent: NULL. PostgreSQL refuses what is no UTF-8, or has a NUL. */
void pg_array_str(struct pg_array *array, struct str text);
void pg_array_bytes(struct pg_array *array, const unsigned char *bytes,
                    size_t len);
void pg_array_null(struct pg_array *array); /* of any type */

/** The NULLs at its end go. Where several arrays become columns side by side,
 * unnest() brings them back, and is quicker without. */
void pg_array_shorten(struct pg_array *array);

void pg_array_end(struct pg_array *array);

#endif
