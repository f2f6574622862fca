#ifndef FUZZ_H
#define FUZZ_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** libFuzzer calls it with one input; 0 always. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** What must hold for every input. */
#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,  \
                    #condition);                                               \
            abort();                                                           \
        }                                                                      \
    } while (0)

/** The rest of an input, taken from its start piece by piece. */
struct input {
    const char *at;
    size_t len;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
    return (struct input){(const char *)data, size};
}

static inline unsigned input_byte(struct input *input)
{
    if (input->len == 0) {
        return 0;
    }
    input->len--;
    return (unsigned char)*input->at++;
}

/** Up to the next byte of that value, which is dropped. */
static inline struct str input_until(struct input *input, char stop)
{
    struct str piece = {input->at, 0};
    while (piece.len < input->len && piece.at[piece.len] != stop) {
        piece.len++;
    }
    size_t taken = piece.len + (piece.len < input->len);
    input->at += taken;
    input->len -= taken;
    return piece;
}

static inline struct str input_rest(const struct input *input)
{
    return (struct str){input->at, input->len};
}

#endif
