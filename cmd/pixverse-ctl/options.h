#ifndef PIXVERSE_CTL_OPTIONS_H
#define PIXVERSE_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/** One flag that a command knows. */
struct option {
    const char *name;     /* with its dashes */
    const char *argument; /* what to call its value in help; null: none */
    const char *help;
    bool repeats;
};

/** A flag with "[=true|false]": alone it means true. */
#define OPTION_SWITCH "[=true|false]"

struct option_value {
    const char *name;  /* the option's own text */
    const char *value; /* "true" for one without value */
};

/** What was on the command line. */
struct options {
    struct option_value *values;
    size_t len;
    const char **words; /* those that are no flags */
    size_t words_len;
};

/**
 * Read a command's arguments; `--name value` and `--name=value` are the same,
 * and after `--` all are words.
 *
 * @param specs  Ends with a null name.
 * @return       false after every fault was printed on standard error.
 */
bool options_read(struct options *options, const char *command,
                  const struct option *specs, int argc, char **argv);

/** The last value of that name; null: not given. */
const char *options_get(const struct options *options, const char *name);
bool options_has(const struct options *options, const char *name);

/** The flags, aligned, with their help. */
void options_print(const struct option *specs);

void options_done(struct options *options);

#endif
