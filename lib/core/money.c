#include "core/money.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define PLACES 6

bool money_parse(struct str text, money *amount)
{
    money whole = 0;
    int places = -1; /* behind the point; -1: none came */
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];
        if (c == '.' && places < 0 && digits > 0) {
            places = 0;
            continue;
        }
        if (c < '0' || c > '9' || places == PLACES || whole > MONEY_MAX) {
            return false;
        }
        whole = whole * 10 + (c - '0');
        places += places >= 0;
        digits++;
    }
    if (digits == 0 || places == 0) {
        return false;
    }
    for (int i = places < 0 ? 0 : places; i < PLACES; i++) {
        if (whole > MONEY_MAX) {
            return false;
        }
        whole *= 10;
    }
    if (whole > MONEY_MAX) {
        return false;
    }
    *amount = whole;
    return true;
}

money money_of_cost(double cost)
{
    assert(!(cost < 0));
    const double most = (double)(MONEY_MAX / MONEY_ONE);
    /* What is no number costs the most, too: nobody may spend it again. */
    return cost < most ? (money)(cost * (double)MONEY_ONE + 0.5) : MONEY_MAX;
}

const char *money_text(money amount, char text[MONEY_TEXT_BYTES])
{
    const uint64_t size = amount < 0 ? -(uint64_t)amount : (uint64_t)amount;
    const uint64_t rest = size % (uint64_t)MONEY_ONE;
    int len = snprintf(text, MONEY_TEXT_BYTES, "%s%" PRIu64 ".%06" PRIu64,
                       amount < 0 ? "-" : "", size / (uint64_t)MONEY_ONE, rest);
    assert(len > 0 && len < MONEY_TEXT_BYTES);
    while (text[len - 1] == '0') {
        text[--len] = '\0';
    }
    if (text[len - 1] == '.') {
        text[len - 1] = '\0';
    }
    return text;
}
