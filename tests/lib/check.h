#ifndef TESTS_LIB_CHECK_H
#define TESTS_LIB_CHECK_H

/** cmocka, with what its header needs but does not include itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
