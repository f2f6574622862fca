#ifndef TESTS_FILM_H
#define TESTS_FILM_H

#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>

#define FILM_BYTES_MAX 65536

/** A real film of tests/unit/films, for programs that tests/run starts. */
static inline size_t film_read(const char *name, char bytes[FILM_BYTES_MAX])
{
    char path[1024];
    const char *root = getenv("TEST_ROOT");
    snprintf(path, sizeof path, "%s/tests/unit/films/%s", root ? root : ".",
             name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t len = fread(bytes, 1, FILM_BYTES_MAX, file);
    fclose(file);
    return len;
}

#endif
