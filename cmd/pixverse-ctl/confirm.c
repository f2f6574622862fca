#include "confirm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool answer(const char *command, const char *what)
{
    char line[16] = "";
    fprintf(stderr, "pixverse-ctl %s: %s? [y/N] ", command, what);
    fflush(stderr);
    if (!fgets(line, sizeof line, stdin)) {
        fputc('\n', stderr);
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, "y") == 0 || strcmp(line, "Y") == 0 ||
           strcmp(line, "yes") == 0;
}

enum confirmed confirm(const struct ctl *ctl, const char *command,
                       const struct options *given, const char *format, ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (options_has(given, "--dry-run")) {
        fprintf(ctl->json ? stderr : stdout, "would %s (--dry-run)\n", what);
        return CONFIRM_DRY;
    }
    if (options_has(given, "--yes")) {
        return CONFIRM_DO;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        fprintf(stderr,
                "pixverse-ctl %s: it would %s, and nobody is at a terminal to "
                "confirm that: nothing was done (--yes says yes, --dry-run "
                "shows it)\n",
                command, what);
        return CONFIRM_NOT;
    }
    if (answer(command, what)) {
        return CONFIRM_DO;
    }
    fprintf(stderr, "pixverse-ctl %s: nothing was done\n", command);
    return CONFIRM_NOT;
}
