#include "commands.h"

#include "base/log.h"
#include "edge/database.h"
#include "edge/properties.h"
#include "topics.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FLUSH_MS 5000 /* of the log, if its reader is slow */

static void print_help(void)
{
    puts(
        "pixverse-worker [run|migrate [--no-topics|--copy]|check|\n"
        "                 health [--ready]|version]\n"
        "\n"
        "  run      take requests from Kafka, have them made, store the videos,\n"
        "           announce their ends (the default)\n"
        "  migrate  bring the schema of DATABASE_URL up to this program, then\n"
        "           make the topics that are missing (not with --no-topics);\n"
        "           those that are there stay as they are. With --copy: make the\n"
        "           database a copy for trials, with another salt for its\n"
        "           idempotency keys and without what has not ended; says what\n"
        "           it would do, and does it with --confirm=DATABASE\n"
        "  check    try every dependency and say what is wrong\n"
        "  health   ask the worker that runs at ADMIN_LISTEN whether its loop\n"
        "           turns; with --ready whether it is ready, too\n"
        "  version  print the versions of this program and its libraries\n"
        "\n"
        "Exit status: 0 done or drained; 1 failed, check found faults, health\n"
        "found none that answers so, or the drain ran out; 2 settings or usage;\n"
        "3 run: the schema or the database's encoding does not fit.\n"
        "\n"
        "Settings come from the environment; NAME_FILE reads NAME from a file.\n");
    settings_print_help(stdout);
}

/** A crash must not write keys to a disk, nor a neighbour read our memory. */
static void shut_the_blinds(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/** What is wrong with settings: for people as it stands, in a log as a log. */
static void print_lines(enum log_level level, const struct buf *lines,
                        bool as_log)
{
    struct str rest = buf_str(lines);
    while (rest.len) {
        const char *end = memchr(rest.at, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.at) : rest.len;
        if (as_log) {
            char line[4096];
            snprintf(line, sizeof line, "%.*s", (int)len, rest.at);
            log_at(level, line);
        } else {
            fprintf(stderr, "%.*s\n", (int)len, rest.at);
        }
        len += end != NULL;
        rest.at += len;
        rest.len -= len;
    }
}

/** For command_migrate_copy(). */
static const char *confirmed;

static int migrate_copy(const struct settings *settings)
{
    return command_migrate_copy(settings, confirmed);
}

/** "--copy", and perhaps "--confirm=NAME". */
static bool is_copy(int argc, char **argv)
{
    static const char confirm[] = "--confirm=";
    if (argc < 3 || argc > 4 || strcmp(argv[1], "migrate") != 0 ||
        strcmp(argv[2], "--copy") != 0 ||
        (argc == 4 && strncmp(argv[3], confirm, sizeof confirm - 1) != 0)) {
        return false;
    }
    confirmed = argc == 4 ? argv[3] + sizeof confirm - 1 : NULL;
    return true;
}

/** What librdkafka itself says of KAFKA_CONF_*. */
static bool judge_properties(const struct settings *settings,
                             struct buf *faults)
{
    struct kafka_property *properties = properties_of(settings);
    const bool good =
        properties &&
        properties_judge(properties, settings->kafka_conf_len, faults);
    free(properties);
    return good;
}

static int with_settings(int (*command)(const struct settings *settings),
                         enum settings_need need, bool as_log)
{
    struct settings settings;
    struct buf faults;
    struct buf warnings;
    buf_init(&faults, 0);
    buf_init(&warnings, 0);
    bool good = settings_read(&settings, (const char *const *)environ, need,
                              &faults, &warnings);
    good = database_url_judge("DATABASE_URL", settings.database_url, true,
                              &faults) &&
           good;
    good = judge_properties(&settings, &faults) && good;
    if (need == SETTINGS_NEED_KEY) {
        good = accounts_read(&settings, &faults, &warnings) && good;
    }
    good = good && prices_configure(&settings, &faults);
    /* At fault or not, LOG_FORMAT is what could be read of it. */
    log_open(settings.log_level, !settings.log_text);
    print_lines(LOG_WARN, &warnings, as_log);
    print_lines(LOG_ERROR, &faults, as_log);
    buf_done(&faults);
    buf_done(&warnings);
    int status = EXIT_USAGE;
    if (good) {
        settings_hide_secrets();
        status = command(&settings);
    }
    /* The faults are lines of the log, too: nobody else tells them. */
    (void)log_flush(FLUSH_MS);
    prices_forget();
    accounts_forget();
    settings_done(&settings);
    return status;
}

static bool is_with(int argc, char **argv, const char *command,
                    const char *flag)
{
    return argc == 3 && strcmp(argv[1], command) == 0 &&
           strcmp(argv[2], flag) == 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "run";
    signal(SIGPIPE, SIG_IGN);
    shut_the_blinds();
    bool no_topics = is_with(argc, argv, "migrate", "--no-topics");
    bool ready = is_with(argc, argv, "health", "--ready");
    if (is_copy(argc, argv)) {
        return with_settings(migrate_copy, SETTINGS_NEED_NONE, false);
    }
    if (argc > 2 && !no_topics && !ready) {
        fprintf(stderr,
                "pixverse-worker: \"%s\" is one argument too many, allowed: "
                "one of run, migrate [--no-topics|--copy], check, health "
                "[--ready], version\n",
                argv[2]);
        return EXIT_USAGE;
    }
    if (strcmp(command, "run") == 0) {
        return with_settings(command_run, SETTINGS_NEED_KEY, true);
    }
    if (strcmp(command, "migrate") == 0) {
        return with_settings(no_topics ? command_migrate_schema
                                       : command_migrate,
                             SETTINGS_NEED_NONE, false);
    }
    if (strcmp(command, "check") == 0) {
        return with_settings(command_check, SETTINGS_NEED_KEY, false);
    }
    if (strcmp(command, "health") == 0) {
        return with_settings(ready ? command_health_ready : command_health,
                             SETTINGS_NEED_NONE, false);
    }
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) {
        return command_version();
    }
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
        strcmp(command, "-h") == 0) {
        print_help();
        return EXIT_DONE;
    }
    fprintf(stderr,
            "pixverse-worker: \"%s\" is no command, allowed: run, migrate, "
            "check, health, version (--help tells more)\n",
            command);
    return EXIT_USAGE;
}
