#include "core/trace.h"

#include <assert.h>

#define MEMBERS_MAX 32
#define MEMBER_PART_MAX 256 /* bytes of a key, and of a value */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/** So many hex digits, not all of them 0 unless that is allowed, then a "-" or
 * the end. */
static bool take_hex(struct str *rest, size_t digits, bool zeros)
{
    assert(digits > 0);
    bool some = zeros;
    if (rest->len < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (!is_hex(rest->at[i])) {
            return false;
        }
        some = some || rest->at[i] != '0';
    }
    if (rest->len > digits && rest->at[digits] != '-') {
        return false;
    }
    size_t taken = rest->len > digits ? digits + 1 : digits;
    *rest = (struct str){rest->at + taken, rest->len - taken};
    return some;
}

static bool is_plain(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((value.at[i] < 0x20 && value.at[i] != '\t') || value.at[i] > 0x7e) {
            return false;
        }
    }
    return value.len > 0 && value.len <= TRACE_HEADER_MAX;
}

bool trace_parent_fits(struct str value)
{
    enum { BYTES = 2 + 1 + 32 + 1 + 16 + 1 + 2 };
    struct str rest = value;
    if (!is_plain(value) || value.len < BYTES || str_starts(value, STR("ff")) ||
        (str_starts(value, STR("00")) && value.len != BYTES)) {
        return false;
    }
    return take_hex(&rest, 2, true) && take_hex(&rest, 32, false) &&
           take_hex(&rest, 16, false) && take_hex(&rest, 2, true);
}

static bool is_of_key(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '*' || c == '/' || c == '@';
}

static bool member_fits(struct str member)
{
    size_t key = 0;
    while (key < member.len && is_of_key(member.at[key])) {
        key++;
    }
    if (key == 0 || key > MEMBER_PART_MAX || key == member.len ||
        member.at[key] != '=' || strchr("_-*/@", member.at[0])) {
        return false;
    }
    size_t len = member.len - key - 1;
    return len > 0 && len <= MEMBER_PART_MAX &&
           !memchr(member.at + key + 1, '=', len) &&
           !memchr(member.at + key + 1, '\t', len);
}

bool trace_state_fits(struct str value)
{
    int members = 0;
    struct str rest = value;
    if (!is_plain(value)) {
        return false;
    }
    while (rest.len) {
        const char *comma = memchr(rest.at, ',', rest.len);
        size_t len = comma ? (size_t)(comma - rest.at) : rest.len;
        struct str member = str_trim((struct str){rest.at, len});
        if (member.len && !member_fits(member)) {
            return false;
        }
        members += member.len > 0;
        len += comma != NULL;
        rest = (struct str){rest.at + len, rest.len - len};
    }
    return members > 0 && members <= MEMBERS_MAX;
}
