#include "core/trace.h"
#include "lib/check.h"

#include <stdio.h>
#include <string.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"
#define PARENT "00-" TRACE "-" SPAN "-01"

#define TEXT(literal)                                                          \
    {                                                                          \
        (literal), sizeof(literal) - 1                                         \
    }

struct sample {
    struct str value;
    bool fits;
};

static void check(const struct sample *samples, size_t len,
                  bool (*fits)(struct str value))
{
    for (size_t i = 0; i < len; i++) {
        if (fits(samples[i].value) != samples[i].fits) {
            fail_msg("sample %zu: %.*s", i, (int)samples[i].value.len,
                     samples[i].value.at);
        }
    }
}

TEST_CASE(a_parent__each_shape)
{
    static const struct sample samples[] = {
        {TEXT(PARENT), true},
        {TEXT("00-" TRACE "-" SPAN "-00"), true},
        {TEXT("cc-" TRACE "-" SPAN "-01"), true},
        {TEXT("cc-" TRACE "-" SPAN "-01-what-comes-later"), true},
        {TEXT("cc-" TRACE "-" SPAN "-01.what-comes-later"), false},
        {TEXT(PARENT "-more"), false},
        {TEXT(PARENT " "), false},
        {TEXT(" " PARENT), false},
        {TEXT("ff-" TRACE "-" SPAN "-01"), false},
        {TEXT("00-00000000000000000000000000000000-" SPAN "-01"), false},
        {TEXT("00-" TRACE "-0000000000000000-01"), false},
        {TEXT("00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01"), false},
        {TEXT("00-" TRACE "_" SPAN "-01"), false},
        {TEXT("00-" TRACE "-" SPAN), false},
        {TEXT("00-" TRACE "-" SPAN "-1"), false},
        {TEXT("00-" TRACE "-" SPAN "-0\0"), false},
        {TEXT("00-" TRACE "-" SPAN "-\xc3\xa9"), false},
        {TEXT("cc-" TRACE "-" SPAN "-01-\0"), false},
        {TEXT("cc-" TRACE "-" SPAN "-01-\xff"), false},
        {TEXT("00-1-2-01"), false},
        {TEXT("{\"a\":1}"), false},
        {TEXT(""), false},
        {{NULL, 0}, false},
    };
    char far[TRACE_HEADER_MAX + 2] = "cc-" TRACE "-" SPAN "-01-";
    check(samples, sizeof samples / sizeof *samples, trace_parent_fits);
    memset(far + strlen(far), 'x', sizeof far - strlen(far) - 1);
    far[TRACE_HEADER_MAX + 1] = '\0';
    assert_true(trace_parent_fits((struct str){far, TRACE_HEADER_MAX}));
    assert_false(trace_parent_fits((struct str){far, TRACE_HEADER_MAX + 1}));
}

TEST_CASE(a_state__each_shape)
{
    static const struct sample samples[] = {
        {TEXT("congo=t61rcWkgMzE"), true},
        {TEXT("dd=s:2;o:rum;t.dm:-4"), true},
        {TEXT("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), true},
        {TEXT("rojo=1 , \tcongo=2 ,,"), true},
        {TEXT("tenant@system=a b"), true},
        {TEXT("0a/b*c-d_e=1"), true},
        {TEXT(","), false},
        {TEXT(""), false},
        {{NULL, 0}, false},
        {TEXT("congo"), false},
        {TEXT("=1"), false},
        {TEXT("congo="), false},
        {TEXT("congo=1=2"), false},
        {TEXT("Congo=1"), false},
        {TEXT("con go=1"), false},
        {TEXT("_congo=1"), false},
        {TEXT("congo=1\0"), false},
        {TEXT("congo=\xc3\xa9"), false},
        {TEXT("congo=a\nb"), false},
        {TEXT("congo=\xff"), false},
        {TEXT("good=1,bad"), false},
    };
    char text[TRACE_HEADER_MAX + 2] = "";
    check(samples, sizeof samples / sizeof *samples, trace_state_fits);
    for (int i = 0; i < 33; i++) {
        assert_int_equal(trace_state_fits(str_of(text)), i > 0);
        snprintf(text + strlen(text), sizeof text - strlen(text), "k%d=1,", i);
    }
    assert_false(trace_state_fits(str_of(text)));
    memset(text, 'v', sizeof text - 1);
    memcpy(text, "k=", 2);
    assert_true(trace_state_fits((struct str){text, 2 + 256}));
    assert_false(trace_state_fits((struct str){text, 2 + 257}));
    text[255] = ',';
    memcpy(text + 256, "l=", 2);
    assert_true(trace_state_fits((struct str){text, TRACE_HEADER_MAX}));
    assert_false(trace_state_fits((struct str){text, TRACE_HEADER_MAX + 1}));
}

TESTS_RUN(NULL, NULL)
