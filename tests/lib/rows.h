#ifndef TESTS_LIB_ROWS_H
#define TESTS_LIB_ROWS_H

#include "core/task.h"

#include <string.h>

static inline bool rows_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/** The name of the first column in which two rows differ; null: in none. */
static inline const char *rows_differ(const struct task_row *a,
                                      const struct task_row *b)
{
#define VALUE(type, name)                                                      \
    if (a->name != b->name) {                                                  \
        return #name;                                                          \
    }
#define CHARS(bytes, name)                                                     \
    if (strcmp(a->name, b->name) != 0) {                                       \
        return #name;                                                          \
    }
#define TEXT(type, name)                                                       \
    if (!rows_same_text(a->name, b->name)) {                                   \
        return #name;                                                          \
    }
    TASK_COLUMNS(VALUE, CHARS, CHARS, TEXT)
#undef VALUE
#undef CHARS
#undef TEXT
    return NULL;
}

#endif
