#include "core/request_mode.h"
#include "lib/check.h"

TEST_CASE(request_mode_parse__each_name__is_its_mode_again)
{
    for (enum request_mode mode = MODE_TEXT; mode <= MODE_EXTEND; mode++) {
        assert_int_equal(request_mode_parse(str_of(request_mode_name(mode))),
                         mode);
    }
}

TEST_CASE(request_mode_parse__another_word__is_none)
{
    assert_int_equal(request_mode_parse(STR("")), MODE_NONE);
    assert_int_equal(request_mode_parse(STR("text")), MODE_NONE);
    assert_int_equal(request_mode_parse(STR("text_to_video ")), MODE_NONE);
    assert_int_equal(request_mode_parse((struct str){0}), MODE_NONE);
}

TESTS_RUN(NULL, NULL)
