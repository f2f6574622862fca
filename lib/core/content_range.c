#include "core/content_range.h"

/** Up to a character, which is left out; false: it isn't there. */
static bool cut_at(struct str *rest, char end, struct str *part)
{
    const char *at = rest->len ? memchr(rest->at, end, rest->len) : NULL;
    if (!at) {
        return false;
    }
    const size_t len = (size_t)(at - rest->at);
    *part = str_trim((struct str){rest->at, len});
    *rest = str_trim((struct str){at + 1, rest->len - len - 1});
    return true;
}

bool content_range_is_whole(struct str value, int64_t *bytes)
{
    struct str rest = str_trim(value);
    struct str unit;
    struct str first;
    struct str last;
    int64_t first_at = 0;
    int64_t last_at = 0;
    int64_t whole = 0;
    if (!cut_at(&rest, ' ', &unit) || !str_eq_nocase(unit, STR("bytes")) ||
        !cut_at(&rest, '-', &first) || !cut_at(&rest, '/', &last) ||
        !str_to_i64(first, 0, 0, &first_at) ||
        !str_to_i64(last, 0, INT64_MAX - 1, &last_at) ||
        !str_to_i64(rest, 1, INT64_MAX, &whole) || whole != last_at + 1) {
        return false;
    }
    *bytes = whole;
    return true;
}
