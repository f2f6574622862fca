#include "edge/pg/pg.h"

#include "edge/pg/sql_text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pg_err(struct err *err, enum err_kind kind, const PGconn *conn)
{
    struct str text = str_trim(str_of(PQerrorMessage(conn)));
    if (!text.len) {
        return err_set(err, kind, "the connection to PostgreSQL was lost");
    }
    return err_set(err, kind, "%.*s", (int)text.len, text.at);
}

bool pg_encoding_fits(struct str encoding, struct err *err)
{
    if (str_eq(encoding, STR("UTF8"))) {
        return true;
    }
    return err_set(err, ERR_PERMANENT,
                   "the database's encoding is %.*s, which can't keep every "
                   "text; UTF8 is needed: make one with CREATE DATABASE ... "
                   "ENCODING 'UTF8' TEMPLATE template0",
                   (int)encoding.len, encoding.len ? encoding.at : "");
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

bool pg_same_place(const PGconn *a, const PGconn *b)
{
    return same(PQhost(a), PQhost(b)) && same(PQport(a), PQport(b));
}

bool pg_is_unwaited(const PGresult *notice)
{
    const char *from = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    return from && strcmp(from, "SyncRepWaitForLSN") == 0;
}

const char *pg_sql(const char *folder, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s.sql", folder, name);
    for (const struct sql_text *at = sql_texts; at->name; at++) {
        if (strcmp(at->name, path) == 0) {
            return at->text;
        }
    }
    assert(!"a query that the build did not embed");
    return NULL;
}

/* ---- values ---- */

struct str pg_str(const PGresult *result, int row, int column)
{
    assert(row >= 0 && row < PQntuples(result));
    if (column < 0 || PQgetisnull(result, row, column)) {
        return (struct str){0};
    }
    return (struct str){PQgetvalue(result, row, column),
                        (size_t)PQgetlength(result, row, column)};
}

int pg_column(const PGresult *result, const char *name, int guess)
{
    assert(name && guess >= 0);
    return guess < PQnfields(result) &&
                   strcmp(PQfname(result, guess), name) == 0
               ? guess
               : PQfnumber(result, name);
}

int64_t pg_i64(const PGresult *result, int row, int column)
{
    assert(row >= 0 && row < PQntuples(result));
    return column < 0 ? 0 : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

bool pg_bool(const PGresult *result, int row, int column)
{
    assert(row >= 0 && row < PQntuples(result));
    return column >= 0 && PQgetvalue(result, row, column)[0] == 't';
}
