#include "options.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_WIDTH 30

static const struct option *find(const struct option *specs, struct str name)
{
    for (; specs->name; specs++) {
        if (str_eq(str_of(specs->name), name)) {
            return specs;
        }
    }
    return NULL;
}

/** The flag that was probably meant, or null. */
static const char *nearest(const struct option *specs, struct str name)
{
    const char *best = NULL;
    size_t least = 4;
    for (; specs->name; specs++) {
        size_t distance = str_distance(str_of(specs->name), name);
        if (distance < least) {
            least = distance;
            best = specs->name;
        }
    }
    return best;
}

static bool unknown(const char *command, const struct option *specs,
                    struct str name)
{
    const char *meant = nearest(specs, name);
    fprintf(stderr, "pixverse-ctl %s: %.*s is no flag here%s%s (", command,
            (int)name.len, name.at, meant ? ", perhaps you mean " : "",
            meant ? meant : "");
    fprintf(stderr, "pixverse-ctl %s --help lists them)\n", command);
    return false;
}

static void add(struct options *options, const char *name, const char *value)
{
    options->values[options->len++] = (struct option_value){name, value};
}

/** One flag; *i moves past a value that stands by itself. */
static bool read_flag(struct options *options, const char *command,
                      const struct option *specs, int argc, char **argv, int *i)
{
    const char *text = argv[*i];
    const char *equals = strchr(text, '=');
    struct str name = {text, equals ? (size_t)(equals - text) : strlen(text)};
    const struct option *spec = find(specs, name);
    if (!spec) {
        return unknown(command, specs, name);
    }
    bool is_switch =
        !spec->argument || strcmp(spec->argument, OPTION_SWITCH) == 0;
    if (!spec->repeats && options_has(options, spec->name)) {
        fprintf(stderr, "pixverse-ctl %s: %s is given twice\n", command,
                spec->name);
        return false;
    }
    if (equals && !spec->argument) {
        fprintf(stderr, "pixverse-ctl %s: %s takes no value\n", command,
                spec->name);
        return false;
    }
    if (equals || is_switch) {
        add(options, spec->name, equals ? equals + 1 : "true");
        return true;
    }
    if (*i + 1 >= argc) {
        fprintf(stderr, "pixverse-ctl %s: %s wants a value: %s\n", command,
                spec->name, spec->argument);
        return false;
    }
    add(options, spec->name, argv[++*i]);
    return true;
}

bool options_read(struct options *options, const char *command,
                  const struct option *specs, int argc, char **argv)
{
    *options = (struct options){
        .values = calloc((size_t)argc + 1, sizeof *options->values),
        .words = calloc((size_t)argc + 1, sizeof *options->words),
    };
    if (!options->values || !options->words) {
        fprintf(stderr, "pixverse-ctl: no memory\n");
        return false;
    }
    bool good = true;
    bool flags = true;
    for (int i = 0; i < argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
        } else if (flags && argv[i][0] == '-' && argv[i][1] != '\0') {
            good = read_flag(options, command, specs, argc, argv, &i) && good;
        } else {
            options->words[options->words_len++] = argv[i];
        }
    }
    return good;
}

const char *options_get(const struct options *options, const char *name)
{
    for (size_t i = options->len; i-- > 0;) {
        if (strcmp(options->values[i].name, name) == 0) {
            return options->values[i].value;
        }
    }
    return NULL;
}

bool options_has(const struct options *options, const char *name)
{
    return options_get(options, name) != NULL;
}

void options_print(const struct option *specs)
{
    for (; specs->name; specs++) {
        char name[80];
        bool joined =
            specs->argument && strcmp(specs->argument, OPTION_SWITCH) == 0;
        snprintf(name, sizeof name, "%s%s%s", specs->name,
                 specs->argument && !joined ? " " : "",
                 specs->argument ? specs->argument : "");
        printf("  %-*s %s%s\n", NAME_WIDTH, name, specs->help,
               specs->repeats ? " (repeatable)" : "");
    }
}

void options_done(struct options *options)
{
    free(options->values);
    free(options->words);
    *options = (struct options){0};
}
