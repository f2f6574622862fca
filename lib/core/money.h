#ifndef CORE_MONEY_H
#define CORE_MONEY_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Amounts of money, exact: whole millionths of the unit that the provider bills
 * in. What comes as a decimal has six places at most, what comes as a double
 * (the provider's costs) is rounded to them.
 */
typedef int64_t money;

#define MONEY_ONE INT64_C(1000000)
/** The largest amount: sums of many of them stay exact. */
#define MONEY_MAX (INT64_C(1000000000) * MONEY_ONE)
#define MONEY_TEXT_BYTES 32 /* with the NUL */

/**
 * "12", "0.35", "1234.500000": digits, and a point with six places at most.
 *
 * @return  false, *amount untouched: it is none, or more than MONEY_MAX.
 */
bool money_parse(struct str text, money *amount);

/** Rounded to the nearest millionth, cut at MONEY_MAX. cost: 0 or more. */
money money_of_cost(double cost);

/** In the fewest digits: "0.35", "12"; below 0 with a minus. */
const char *money_text(money amount, char text[MONEY_TEXT_BYTES]);

#endif
