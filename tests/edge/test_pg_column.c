#include "edge/pg/pg.h"

#include "lib/check.h"

/** What a query might give: one name comes twice. */
static PGresult *result_of(int len, const char *const names[])
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[8] = {0};
    assert_true(result && len <= 8);
    for (int i = 0; i < len; i++) {
        columns[i].name = (char *)(uintptr_t)names[i];
    }
    assert_int_equal(PQsetResultAttrs(result, len, columns), 1);
    return result;
}

TEST_CASE(pg_column__wherever_it_is__is_found_by_its_name)
{
    static const char *const names[] = {"seen", "id", "state", "id"};
    PGresult *result = result_of(4, names);
    for (int guess = 0; guess < 10; guess++) {
        assert_int_equal(pg_column(result, "seen", guess), 0);
        assert_int_equal(pg_column(result, "state", guess), 2);
        assert_int_equal(pg_column(result, "stat", guess), -1);
        assert_int_equal(pg_column(result, "owner", guess), -1);
        /* The first of two, but for who knows better. */
        assert_int_equal(pg_column(result, "id", guess), guess == 3 ? 3 : 1);
    }
    PQclear(result);
}

TESTS_RUN(NULL, NULL)
