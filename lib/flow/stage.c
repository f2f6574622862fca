#include "flow/stage.h"

#include <stdlib.h>

struct ticket *ticket_new(struct engine *engine, const struct job *job)
{
    struct ticket *ticket = malloc(sizeof *ticket);
    if (ticket) {
        *ticket = (struct ticket){.engine = engine, .ref = job_ref(job)};
    }
    return ticket;
}

struct job *ticket_end(struct ticket *ticket)
{
    struct job *job = jobs_get(&ticket->engine->jobs, ticket->ref);
    free(ticket);
    return job;
}
