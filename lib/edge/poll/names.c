#include "edge/poll/names.h"

#include <assert.h>
#include <string.h>

/** Field by field: what the resolver leaves in between says nothing. */
static bool is_same(const union lookup_address *a,
                    const union lookup_address *b)
{
    if (a->any.sa_family != b->any.sa_family) {
        return false;
    }
    if (a->any.sa_family == AF_INET) {
        return a->v4.sin_port == b->v4.sin_port &&
               a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    }
    return a->v6.sin6_port == b->v6.sin6_port &&
           a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) ==
               0;
}

void names_set(struct names *names, const struct lookup_answer *found,
               int64_t until_ms)
{
    assert(found->len >= 0 && found->len <= LOOKUP_ADDRESSES_MAX);
    int next = 0;
    while (next < found->len &&
           found->addresses[next].any.sa_family != names->family) {
        next++;
    }
    *names = (struct names){.found = *found,
                            .until_ms = until_ms,
                            .family = names->family,
                            .next = next < found->len ? next : 0};
}

bool names_are_known(const struct names *names, int64_t now_ms)
{
    return names->found.len > 0 && now_ms < names->until_ms;
}

const union lookup_address *names_next(const struct names *names)
{
    assert(names->next >= 0 && names->next < names->found.len);
    assert(!names->failed[names->next]);
    return &names->found.addresses[names->next];
}

bool names_next_is(const struct names *names,
                   const union lookup_address *address)
{
    return is_same(names_next(names), address);
}

void names_pass(struct names *names)
{
    assert(names_left(names) > 0);
    do {
        names->next = (names->next + 1) % names->found.len;
    } while (names->failed[names->next]);
}

int names_left(const struct names *names)
{
    int left = 0;
    for (int i = 0; i < names->found.len; i++) {
        left += !names->failed[i];
    }
    return left;
}

void names_fail(struct names *names, const union lookup_address *address)
{
    for (int i = 0; i < names->found.len; i++) {
        names->failed[i] |= is_same(&names->found.addresses[i], address);
    }
    if (names_left(names) == 0) {
        names->until_ms = 0;
    } else if (names->failed[names->next]) {
        names_pass(names);
    }
}

void names_reach(struct names *names, const union lookup_address *address)
{
    memset(names->failed, 0, sizeof names->failed);
    names->family = address->any.sa_family;
    for (int i = 0; i < names->found.len; i++) {
        if (is_same(&names->found.addresses[i], address)) {
            names->next = i;
            return;
        }
    }
}
