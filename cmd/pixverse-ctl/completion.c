#include "ctl.h"

#include "core/task.h"
#include "filter.h"

#include <stdio.h>
#include <string.h>

/*
 * Completion for shells, made of the tables that --help is made of: a flag that
 * a command knows can't be missing here.
 */

/* clang-format off */
static const struct option options[] = {
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/* ---- What the tables say ---- */

/** Words of a text, separated by commas, as words separated by spaces. */
static void add_words(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text != ',') {
            buf_add_char(out, *text);
        }
    }
}

/** The words that a flag's value can be; out stays empty: any text. */
static void add_values(struct buf *out, const struct option *option)
{
    const char *argument = option->argument ? option->argument : "";
    bool state = strcmp(argument, "STATE") == 0;
    if (strcmp(argument, OPTION_SWITCH) == 0) {
        add_words(out, "true, false");
    } else if (state) {
        add_words(out, FILTER_STATES);
    }
    if (state || strcmp(argument, "KIND") == 0) {
        for (int k = FAILURE_NONE + 1; k < FAILURE_KINDS_LEN; k++) {
            buf_printf(out, "%s%s", out->len ? " " : "",
                       failure_kind_name((enum failure_kind)k));
        }
    }
}

static bool is_switch(const struct option *option)
{
    return option->argument && strcmp(option->argument, OPTION_SWITCH) == 0;
}

static bool is_file(const struct option *option)
{
    return option->argument && strcmp(option->argument, "FILE") == 0;
}

/** The words that begin a usage such as "list|show|replay [...]"; empty: none.
 */
static void add_verbs(struct buf *out, const char *usage)
{
    size_t len = strspn(usage, "abcdefghijklmnopqrstuvwxyz|");
    if (memchr(usage, '|', len)) {
        for (size_t i = 0; i < len; i++) {
            buf_add_char(out, usage[i] == '|' ? ' ' : usage[i]);
        }
    }
}

static void put(struct buf *text)
{
    fputs(text->bytes ? text->bytes : "", stdout);
    buf_done(text);
}

static void put_values(const struct option *option)
{
    struct buf values;
    buf_init(&values, 0);
    add_values(&values, option);
    put(&values);
}

static bool has_values(const struct option *option)
{
    struct buf values;
    buf_init(&values, 0);
    add_values(&values, option);
    bool any = values.len > 0;
    buf_done(&values);
    return any;
}

static void put_verbs(const struct command *command)
{
    struct buf verbs;
    buf_init(&verbs, 0);
    add_verbs(&verbs, command->usage);
    put(&verbs);
}

/** Text inside '…' of a shell; a backslash before what `taken` takes for its
 * own. */
static void put_quoted(const char *text, const char *taken)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", stdout);
        } else if (strchr(taken, *text)) {
            printf("\\%c", *text);
        } else {
            putchar(*text);
        }
    }
}

static void put_commands(void)
{
    for (const struct command *const *c = commands; *c; c++) {
        printf("%s%s", c == commands ? "" : " ", (*c)->name);
    }
}

/* ---- bash ---- */

static void bash_command(const struct command *command)
{
    printf("    %s)\n        verbs='", command->name);
    put_verbs(command);
    fputs("'\n        flags='", stdout);
    for (const struct option *o = command->options; o->name; o++) {
        printf("%s%s", o == command->options ? "" : " ", o->name);
    }
    fputs("'\n        case $prev in\n", stdout);
    for (const struct option *o = command->options; o->name; o++) {
        if (o->argument) {
            printf("        %s) takes=%s values='", o->name,
                   is_switch(o) ? "joined"
                   : is_file(o) ? "file"
                                : "value");
            put_values(o);
            fputs("' ;;\n", stdout);
        }
    }
    puts("        esac ;;");
}

static const char bash_begins[] =
    "# bash completion for pixverse-ctl: pixverse-ctl completion bash\n"
    "_pixverse_ctl() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local joined= verbs= flags= takes= values=\n"
    "    COMPREPLY=()\n"
    "    if [ \"$cur\" = = ]; then\n"
    "        cur= joined=1\n"
    "    elif [ \"$prev\" = = ]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD-2]} joined=1\n"
    "    fi\n"
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "        COMPREPLY=($(compgen -W '";

/* A switch takes its value behind "=" only. */
static const char bash_ends[] =
    "    esac\n"
    "    if [ \"$takes\" = joined ] && [ -z \"$joined\" ]; then\n"
    "        takes=\n"
    "    fi\n"
    "    if [ \"$takes\" = file ]; then\n"
    "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
    "    elif [ -n \"$takes\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
    "    elif [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"$verbs\" ] &&\n"
    "        [ \"${cur#-}\" = \"$cur\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
    "    else\n"
    "        COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _pixverse_ctl pixverse-ctl";

static void bash(void)
{
    fputs(bash_begins, stdout);
    put_commands();
    fputs(" help version --help --version' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    case ${COMP_WORDS[1]} in\n"
          "    help)\n"
          "        verbs='",
          stdout);
    put_commands();
    puts("' ;;");
    for (const struct command *const *c = commands; *c; c++) {
        bash_command(*c);
    }
    puts(bash_ends);
}

/* ---- zsh ---- */

#define ZSH_TAKEN "[]:\\"

static void zsh_option(const struct option *option)
{
    printf("            '%s%s%s[", option->repeats ? "*" : "", option->name,
           !option->argument   ? ""
           : is_switch(option) ? "=-"
                               : "=");
    put_quoted(option->help, ZSH_TAKEN);
    putchar(']');
    if (option->argument) {
        fputs(is_switch(option) ? "::" : ":", stdout);
        put_quoted(is_switch(option) ? "true or false" : option->argument,
                   ZSH_TAKEN);
        putchar(':');
        if (is_file(option)) {
            fputs("_files", stdout);
        } else if (has_values(option)) {
            putchar('(');
            put_values(option);
            putchar(')');
        }
    }
    fputs("' \\\n", stdout);
}

static void zsh_command(const struct command *command)
{
    struct buf verbs;
    buf_init(&verbs, 0);
    add_verbs(&verbs, command->usage);
    printf("    %s)\n        _arguments -s \\\n", command->name);
    for (const struct option *o = command->options; o->name; o++) {
        zsh_option(o);
    }
    if (verbs.len) {
        fputs("            '1:verb:(", stdout);
        put(&verbs);
        fputs(")' \\\n", stdout);
    }
    puts("            '*: :' ;;");
    buf_done(&verbs);
}

static void zsh(void)
{
    puts("#compdef pixverse-ctl\n"
         "# zsh completion for pixverse-ctl: pixverse-ctl completion zsh\n"
         "_pixverse_ctl() {\n"
         "    local -a names\n"
         "    if (( CURRENT == 2 )); then\n"
         "        names=(");
    for (const struct command *const *c = commands; *c; c++) {
        printf("            '%s:", (*c)->name);
        put_quoted((*c)->help, "\\");
        puts("'");
    }
    puts("            'help:what a command does'\n"
         "            'version:the version'\n"
         "        )\n"
         "        _describe command names\n"
         "        return\n"
         "    fi\n"
         "    local name=$words[2]\n"
         "    shift words\n"
         "    (( CURRENT-- ))\n"
         "    case $name in");
    for (const struct command *const *c = commands; *c; c++) {
        zsh_command(*c);
    }
    fputs("    help)\n        _arguments '1:command:(", stdout);
    put_commands();
    puts(")' ;;\n"
         "    esac\n"
         "}\n"
         "# Autoloaded from fpath it is called, sourced it says what it is "
         "for.\n"
         "if [ \"$funcstack[1]\" = _pixverse-ctl ]; then\n"
         "    _pixverse_ctl \"$@\"\n"
         "else\n"
         "    compdef _pixverse_ctl pixverse-ctl\n"
         "fi");
}

/* ---- fish ---- */

static void fish_option(const struct command *command,
                        const struct option *option)
{
    printf("complete -c pixverse-ctl -n '__fish_seen_subcommand_from %s' -l "
           "%s%s%s",
           command->name, option->name + 2,
           option->argument && !is_switch(option) ? " -r" : "",
           is_file(option) ? " -F" : "");
    if (has_values(option) && !is_switch(option)) {
        fputs(" -a '", stdout);
        put_values(option);
        putchar('\'');
    }
    fputs(" -d '", stdout);
    put_quoted(option->help, "\\");
    puts("'");
}

static void fish_command(const struct command *command)
{
    struct buf verbs;
    buf_init(&verbs, 0);
    add_verbs(&verbs, command->usage);
    printf("complete -c pixverse-ctl -n __fish_use_subcommand -a %s -d '",
           command->name);
    put_quoted(command->help, "\\");
    puts("'");
    if (verbs.len) {
        printf("complete -c pixverse-ctl -n '__fish_seen_subcommand_from %s' "
               "-a '",
               command->name);
        put(&verbs);
        puts("'");
    }
    buf_done(&verbs);
    for (const struct option *o = command->options; o->name; o++) {
        fish_option(command, o);
    }
}

static void fish(void)
{
    puts("# fish completion for pixverse-ctl: pixverse-ctl completion fish\n"
         "complete -c pixverse-ctl -f\n"
         "complete -c pixverse-ctl -n __fish_use_subcommand -l help -d 'what "
         "commands there are'\n"
         "complete -c pixverse-ctl -n __fish_use_subcommand -l version -d 'the "
         "version'\n"
         "complete -c pixverse-ctl -n __fish_use_subcommand -a help -d 'what "
         "a command does'");
    for (const struct command *const *c = commands; *c; c++) {
        fish_command(*c);
    }
}

static int run(struct ctl *ctl, const struct options *given)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    const char *shell = given->words_len == 1 ? given->words[0] : "";
    (void)ctl;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].print();
            return ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
        }
    }
    return ctl_usage("completion",
                     "it wants a shell, allowed: bash, zsh, fish");
}

const struct command command_completion = {
    .name = "completion",
    .usage = "bash|zsh|fish [flags]",
    .help = "completion for a shell, to be read by it",
    .text = "cmake --install puts all three where the shells look for them. "
            "By hand:\n\n"
            "Examples:\n"
            "  source <(pixverse-ctl completion bash)\n"
            "  source <(pixverse-ctl completion zsh)\n"
            "  pixverse-ctl completion fish | source\n",
    .options = options,
    .run = run,
    .bare = true,
};
