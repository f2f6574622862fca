#include "commands.h"

#include "edge/schema.h"

static void on_step(void *context, int number, const char *name)
{
    (void)context;
    printf("applied %04d (%s)\n", number, name);
}

int command_migrate(const struct settings *settings)
{
    struct err err = {0};
    if (!schema_migrate(settings->database_url, on_step, NULL, &err)) {
        fprintf(stderr, "migrate: %s\n", err.text);
        return EXIT_FAILED;
    }
    struct schema_state state;
    if (!schema_read(settings->database_url, &state, &err)) {
        fprintf(stderr, "migrate: %s\n", err.text);
        return EXIT_FAILED;
    }
    printf("the schema is at %d\n", state.number);
    return EXIT_DONE;
}
