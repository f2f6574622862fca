#ifndef PIXVERSE_CTL_SUBMIT_READ_H
#define PIXVERSE_CTL_SUBMIT_READ_H

#include "base/arena.h"
#include "core/request.h"
#include "options.h"

/** One message to send, as it will go out, and how it was judged. */
struct submission {
    struct str value;
    int place; /* in the file, from 1; 0: made from flags */
    struct request request;
};

struct submissions {
    struct submission *all;
    size_t len;
};

/** The flags of submit: those that make up a request, then its own. */
extern const struct option submit_options[];

/** Whether any flag that belongs into a request was given: its name, or
 * null. */
const char *submit_request_flag(const struct options *options);

/**
 * One request from flags; what is no number where one is wanted goes in as
 * text, so that validation says what is wrong.
 *
 * @param random  For the id, where none is given.
 */
bool submissions_of_flags(struct submissions *submissions,
                          const struct options *options, uint32_t random,
                          struct arena *arena);

/**
 * Requests from a file: JSON values one behind the other (so JSON lines too),
 * or one array of them. Their bytes are sent as they are.
 *
 * @param path  "-" is standard input.
 * @return      false after saying on standard error why not.
 */
bool submissions_of_file(struct submissions *submissions, const char *path,
                         struct arena *arena);

/** Judge all; prints every fault of every one. false: at least one has some. */
bool submissions_judge(struct submissions *submissions, bool json,
                       struct arena *arena);

void submissions_done(struct submissions *submissions);

#endif
