#ifndef TESTS_EDGE_CALLS_H
#define TESTS_EDGE_CALLS_H

/**
 * Calls into libraries that fail to order: the tests' __wrap_ functions ask
 * fails() first. The n-th call of the chosen name, in any thread, is struck.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static struct {
    const char *_Atomic call; /* null: none */
    atomic_int left;          /* until it is struck */
    atomic_bool hit;
} order;

static inline void strike(const char *call, int nth)
{
    order.left = nth;
    order.hit = false;
    order.call = call;
}

/** Whether it was. */
static inline bool struck(void)
{
    order.call = NULL;
    return order.hit;
}

static inline bool fails(const char *call)
{
    const char *chosen = order.call;
    if (!chosen || strcmp(chosen, call) != 0 ||
        atomic_fetch_sub(&order.left, 1) != 1) {
        return false;
    }
    order.hit = true;
    return true;
}

/** Stands before a function: it ends so if it is struck. */
#define WRAP(type, name, failure, parameters, arguments)                       \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return fails(#name) ? (failure) : __real_##name arguments;             \
    }

#endif
