#ifndef PIXVERSE_WORKER_COMMANDS_H
#define PIXVERSE_WORKER_COMMANDS_H

#include "base/settings.h"
#include "core/accounts.h"
#include "core/price.h"

/** Exit statuses (CONTRACT "Commands"). */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_MISFIT = 3 };

/** What PRICES says. false: a fault was added. */
bool prices_configure(const struct settings *settings, struct buf *faults);
/** Empty: it says nothing. */
const struct prices *configured_prices(void);
void prices_forget(void);

/**
 * The accounts at the provider that the settings name, their key files read.
 *
 * @return  false, with a line of faults for each, if something is wrong.
 */
bool accounts_read(const struct settings *settings, struct buf *faults,
                   struct buf *warnings);

/** What accounts_read() brought, until accounts_forget(), which wipes it. */
const struct accounts *configured_accounts(void);
void accounts_forget(void);

int command_run(const struct settings *settings);
int command_migrate(const struct settings *settings);
int command_migrate_schema(const struct settings *settings); /* --no-topics */
/** --copy; confirm: the database's name, null: not confirmed. */
int command_migrate_copy(const struct settings *settings, const char *confirm);
int command_check(const struct settings *settings);
/** Asks the worker that runs beside it; one line tells what it answered. */
int command_health(const struct settings *settings);
int command_health_ready(const struct settings *settings); /* --ready */
int command_version(void);

#endif
