#ifndef PIXVERSE_CTL_DOCTOR_WORDS_H
#define PIXVERSE_CTL_DOCTOR_WORDS_H

#include "ctl.h"

/** What pixverse-ctl doctor can find, and what one does about it. */
struct finding {
    const char *name; /* as sql/query/ctl_doctor_*.sql has it */
    bool is_fault;    /* else a warning */
    const char *found;
    const char *todo;
};

/** Null: a later program's. */
const struct finding *finding_of(const char *name);

struct doctor {
    struct ctl *ctl;
    int64_t faults;
    int64_t warnings;
};

/**
 * Tell of one.
 *
 * @param n   How many; below 2 nothing is said of it.
 * @param of  Some of them, texts; null: none.
 */
void doctor_tell(struct doctor *doctor, const char *name, int64_t n,
                 const json_t *of, const char *since);

/** The same of one thing in words. */
void doctor_tell_one(struct doctor *doctor, const char *name,
                     const char *detail);

#endif
