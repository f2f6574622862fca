#include "core/request_mode.h"

#include <assert.h>
#include <stddef.h>

static const char *const mode_names[] = {
#define X(name, text) [name] = text,
    REQUEST_MODES(X)
#undef X
};

const char *request_mode_name(enum request_mode mode)
{
    assert(mode >= MODE_NONE && mode <= MODE_EXTEND);
    return mode_names[mode];
}

enum request_mode request_mode_parse(struct str name)
{
    for (size_t i = 1; i < sizeof mode_names / sizeof *mode_names; i++) {
        if (str_eq(name, str_of(mode_names[i]))) {
            return (enum request_mode)i;
        }
    }
    return MODE_NONE;
}
