#include "cells.h"

#include "edge/database.h"
#include "edge/properties.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "table.h"

const struct command *const commands[] = {
    &command_submit,   &command_list,
    &command_show,     &command_explain,
    &command_watch,    &command_top,
    &command_workers,  &command_stats,
    &command_doctor,   &command_retry,
    &command_cancel,   &command_attach,
    &command_announce, &command_budget,
    &command_pause,    &command_resume,
    &command_rejected, &command_prune,
    &command_account,  &command_tenant,
    &command_rewind,   &command_link,
    &command_console,  &command_completion,
    &command_man,      NULL,
};

#define COMMANDS_LEN (sizeof commands / sizeof commands[0] - 1)

static void print_help(void)
{
    puts("pixverse-ctl COMMAND [flags]: ask for videos, and look at what "
         "becomes of them\n");
    for (size_t i = 0; i < COMMANDS_LEN; i++) {
        printf("  %-11s %s\n", commands[i]->name, commands[i]->help);
    }
    puts(
        "\n"
        "Examples:\n"
        "  pixverse-ctl submit --prompt \"a kite over the sea\" --wait\n"
        "  pixverse-ctl submit --file requests.jsonl\n"
        "  pixverse-ctl list --state running\n"
        "  pixverse-ctl show order-1234.clip-1\n"
        "\n"
        "All take --help, and all but completion and man --json (one JSON "
        "object a\n"
        "line). The settings are those of pixverse-worker, from the "
        "environment:\n"
        "DATABASE_URL, KAFKA_BROKERS and others (pixverse-worker --help "
        "prints them all). With\n"
        "DATABASE_URLS list, show, stats and top ask several databases, a cell "
        "each.\n"
        "\n"
        "Exit status: 0 done; 1 failed; 2 settings, usage or a faulty "
        "request;\n"
        "3 some were left out, of an order about many or of the cells, and "
        "why is said. That "
        "of doctor is\n1 with findings, 2 where it can't look.");
}

static void print_command_help(const struct command *command)
{
    printf("pixverse-ctl %s %s\n\n%s\n\n", command->name, command->usage,
           command->help);
    options_print(command->options);
    printf("\n%s", command->text);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS_LEN; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int unknown(const char *name)
{
    const char *meant = NULL;
    size_t least = 4;
    for (size_t i = 0; i < COMMANDS_LEN; i++) {
        size_t distance = str_distance(str_of(commands[i]->name), str_of(name));
        if (distance < least) {
            least = distance;
            meant = commands[i]->name;
        }
    }
    fprintf(stderr,
            "pixverse-ctl: \"%s\" is no command%s%s (pixverse-ctl --help lists "
            "them)\n",
            name, meant ? ", perhaps you mean " : "", meant ? meant : "");
    return EXIT_USAGE;
}

/** A command that asks all cells needs no database but theirs; good: all other
 * settings are, whose faults are told together. */
static bool judge_databases(struct ctl *ctl, const struct command *command,
                            bool good, struct buf *faults)
{
    if (command->cells && ctl->settings.database_urls[0]) {
        return good && cells_open(ctl, faults);
    }
    return database_url_judge("DATABASE_URL", ctl->settings.database_url, false,
                              faults) &&
           good;
}

static bool read_settings(struct ctl *ctl, const struct command *command)
{
    struct buf faults;
    struct buf warnings;
    buf_init(&faults, 0);
    buf_init(&warnings, 0);
    bool good = settings_read(&ctl->settings, (const char *const *)environ,
                              SETTINGS_NEED_NONE, &faults, &warnings);
    good = judge_databases(ctl, command, good, &faults);
    size_t len = ctl->settings.kafka_conf_len;
    ctl->properties = calloc(len + 1, sizeof *ctl->properties);
    for (size_t i = 0; ctl->properties && i < len; i++) {
        ctl->properties[i] =
            (struct kafka_property){ctl->settings.kafka_conf[i].name,
                                    ctl->settings.kafka_conf[i].value};
    }
    good = good && ctl->properties &&
           properties_judge(ctl->properties, len, &faults);
    if (faults.len) {
        fputs(faults.bytes, stderr);
    }
    buf_done(&faults);
    buf_done(&warnings); /* the worker's to give */
    return good;
}

static char **copy_environment(void)
{
    size_t len = 0;
    while (environ[len]) {
        len++;
    }
    char **copy = calloc(len + 1, sizeof *copy);
    for (size_t i = 0; copy && i < len; i++) {
        copy[i] = strdup(environ[i]);
        if (!copy[i]) {
            break; /* the child will miss a setting, and name it */
        }
    }
    return copy;
}

static void free_environment(char **copy)
{
    for (size_t i = 0; copy && copy[i]; i++) {
        free(copy[i]);
    }
    free(copy);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct ctl ctl = {.width = terminal_width(), .colours = terminal_colours()};
    struct options options;
    int status = EXIT_USAGE;
    if (options_read(&options, command->name, command->options, argc, argv)) {
        if (options_has(&options, "--help")) {
            print_command_help(command);
            status = EXIT_DONE;
        } else if (command->bare || read_settings(&ctl, command)) {
            ctl.environment = command->spawns ? copy_environment() : NULL;
            settings_hide_secrets();
            ctl.json = options_has(&options, "--json");
            status = command->run(&ctl, &options);
        }
    }
    if (ctl.inspect) {
        inspect_close(ctl.inspect);
    }
    cells_close(&ctl);
    free_environment(ctl.environment);
    free(ctl.properties);
    settings_done(&ctl.settings);
    options_done(&options);
    return status;
}

/** What isn't UTF-8 would be bought as something else than was meant. */
static bool are_texts(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!str_is_utf8(str_of(argv[i]))) {
            fprintf(stderr,
                    "pixverse-ctl: argument %d is not UTF-8: nothing was done "
                    "(a terminal or script in another encoding? iconv -t UTF-8 "
                    "converts it)\n",
                    i);
            return false;
        }
    }
    return true;
}

static int act(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0) {
        const struct command *about = argc > 2 ? find(argv[2]) : NULL;
        if (about) {
            print_command_help(about);
        } else {
            print_help();
        }
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("pixverse-ctl " PROGRAM_VERSION);
        return EXIT_DONE;
    }
    if (!are_texts(argc, argv)) {
        return EXIT_USAGE;
    }
    const struct command *command = find(name);
    return command ? run(command, argc - 2, argv + 2) : unknown(name);
}

/** Whoever read our output has enough of it, as head. */
static bool is_reader_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP));
}

/** A script that keeps what we print has to hear that some of it is lost. */
static int judge_output(int status)
{
    errno = 0;
    const bool lost = fflush(stdout) != 0;
    const int why = errno; /* 0: it was lost earlier, and nobody noted why */
    if ((!lost && !ferror(stdout)) || why == EPIPE || is_reader_gone()) {
        return status;
    }
    fprintf(stderr,
            "pixverse-ctl: not all of the output could be written%s%s\n",
            lost ? ": " : "", lost ? strerror(why) : "");
    return status == EXIT_DONE ? EXIT_FAILED : status;
}

int main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* DATABASE_URL may hold a password */
    (void)prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);
    terminal_init();
    return judge_output(act(argc, argv));
}
