#include "base/err.h"
#include "lib/check.h"

#include <string.h>

TEST_CASE(err_set__any_kind__says_it_and_is_false)
{
    struct err err = {0};
    assert_false(err_set(&err, ERR_PERMANENT, "row %d of %s", 7, "task"));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_string_equal(err.text, "row 7 of task");
    assert_false(err_set(NULL, ERR_FATAL, "nobody listens"));
    assert_false(err_wrap(NULL, "nobody listens"));
}

TEST_CASE(err_wrap__a_context__stands_before_and_keeps_the_kind)
{
    struct err err = {0};
    err_set(&err, ERR_TRANSIENT, "connection refused");
    assert_false(err_wrap(&err, "store %s", "open"));
    assert_int_equal(err.kind, ERR_TRANSIENT);
    assert_string_equal(err.text, "store open: connection refused");
}

/** Whatever is too long is cut, and never runs over. */
TEST_CASE(err__too_long__is_cut)
{
    struct err err = {0};
    char wide[2 * sizeof err.text];
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    err_set(&err, ERR_FATAL, "%s", wide);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    for (size_t len = sizeof err.text - 5; len < sizeof err.text + 3; len++) {
        err_set(&err, ERR_FATAL, "cause");
        err_wrap(&err, "%.*s", (int)len, wide);
        assert_int_equal(strlen(err.text), sizeof err.text - 1);
    }
    err_set(&err, ERR_FATAL, "%s", wide);
    err_wrap(&err, "context");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "context: xxx", 12);
}

TEST_CASE(err_kind_name__each__has_one)
{
    assert_string_equal(err_kind_name(ERR_NONE), "none");
    assert_string_equal(err_kind_name(ERR_TRANSIENT), "transient");
    assert_string_equal(err_kind_name(ERR_PERMANENT), "permanent");
    assert_string_equal(err_kind_name(ERR_FATAL), "fatal");
}

TESTS_RUN(NULL, NULL)
