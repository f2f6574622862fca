#include "ctl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/*
 * A man page, made of the tables and texts that --help is made of.
 */

#define PAGE_DATE "2026-11-29" /* of the last change of what follows */

/* clang-format off */
static const struct option options[] = {
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** Text as roff takes it for text. */
static void put_text(const char *text, size_t len)
{
    if (len && (text[0] == '.' || text[0] == '\'')) {
        fputs("\\&", stdout);
    }
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        case '`':
            fputs("\\(ga", stdout);
            break;
        case '^':
            fputs("\\(ha", stdout);
            break;
        case '~':
            fputs("\\(ti", stdout);
            break;
        default:
            putchar(text[i]);
        }
    }
}

static void put_string(const char *text)
{
    put_text(text, strlen(text));
}

/** What stands below a command's flags: paragraphs, and examples as they are.
 */
static void put_body(const char *text)
{
    bool as_it_is = false;
    bool apart = true; /* a paragraph is to begin */
    while (*text) {
        size_t len = strcspn(text, "\n");
        bool indented = len > 0 && text[0] == ' ';
        if (as_it_is && !indented) {
            puts(".EE\n.RE");
            as_it_is = false;
            apart = true;
        }
        if (len == 0) {
            apart = true;
        } else if (indented && !as_it_is) {
            puts(".PP\n.RS 4\n.EX");
            as_it_is = true;
            apart = false;
        } else if (!indented && apart) {
            puts(".PP");
            apart = false;
        }
        if (len > 0) {
            size_t skip = indented ? strspn(text, " ") : 0;
            put_text(text + skip, len - skip);
            putchar('\n');
        }
        text += len + (text[len] == '\n');
    }
    if (as_it_is) {
        puts(".EE\n.RE");
    }
}

static void put_option(const struct option *option)
{
    bool joined =
        option->argument && strcmp(option->argument, OPTION_SWITCH) == 0;
    fputs(".TP\n\\fB", stdout);
    put_string(option->name);
    fputs("\\fR", stdout);
    if (option->argument) {
        fputs(joined ? "\\fI" : " \\fI", stdout);
        put_string(option->argument);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    put_string(option->help);
    puts(option->repeats ? " (repeatable)" : "");
}

static void put_command(const struct command *command)
{
    fputs(".SS ", stdout);
    put_string(command->name);
    fputs("\n\\fBpixverse\\-ctl ", stdout);
    put_string(command->name);
    fputs("\\fR ", stdout);
    put_string(command->usage);
    puts("\n.PP");
    putchar(toupper((unsigned char)command->help[0]));
    put_string(command->help + 1);
    puts(strchr(".?", command->help[strlen(command->help) - 1]) ? "" : ".");
    put_body(command->text);
    for (const struct option *o = command->options; o->name; o++) {
        put_option(o);
    }
}

static int run(struct ctl *ctl, const struct options *given)
{
    (void)ctl;
    if (given->words_len > 0) {
        return ctl_usage("man", "\"%s\" is one word too many", given->words[0]);
    }
    puts(".TH PIXVERSE\\-CTL 1 " PAGE_DATE
         " \"pixverse\\-worker " PROGRAM_VERSION "\" \"User Commands\"\n"
         ".SH NAME\n"
         "pixverse\\-ctl \\- ask for videos, and look at what becomes of them\n"
         ".SH SYNOPSIS\n"
         ".B pixverse\\-ctl\n"
         ".I COMMAND\n"
         ".RI [ flags ]\n"
         ".SH DESCRIPTION\n"
         "The operator\\(aqs and developer\\(aqs command of pixverse\\-worker: "
         "it asks for videos,\n"
         "tells where requests are and why, and takes orders about them. It "
         "writes tables to a\n"
         "terminal and JSON lines with \\fB\\-\\-json\\fR.\n"
         ".SH COMMANDS");
    for (const struct command *const *c = commands; *c; c++) {
        put_command(*c);
    }
    puts(
        ".SH EXIT STATUS\n"
        "0 done; 1 failed, or findings of \\fBdoctor\\fR; 2 settings, usage "
        "or a faulty request;\n"
        "3 some were left out, of an order about many or of the cells, and why "
        "is said.\n"
        ".SH ENVIRONMENT\n"
        "The settings are those of pixverse\\-worker: \\fBDATABASE_URL\\fR, "
        "\\fBKAFKA_BROKERS\\fR and\n"
        "others, which \\fBpixverse\\-worker \\-\\-help\\fR prints.\n"
        "\\fBDATABASE_URLS\\fR: several databases, a cell each, for list, "
        "show, stats and top.\n"
        "\\fBNO_COLOR\\fR: tables without colours.");
    return ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_man = {
    .name = "man",
    .usage = "[flags]",
    .help = "the man page of this command, as roff",
    .text = "cmake --install puts it where man looks for it.\n\n"
            "Examples:\n"
            "  pixverse-ctl man | man -l -\n",
    .options = options,
    .run = run,
    .bare = true,
};
