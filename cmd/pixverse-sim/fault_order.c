#include "fault_order.h"

#include <stdlib.h>

void fault_done(struct fault *fault)
{
    free(fault->match);
    free(fault->body);
    free(fault->text);
    free(fault->code);
    free(fault->url);
    free(fault->headers);
    free(fault->json);
}

void faults_clear(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        fault_done(&faults->list[i]);
    }
    free(faults->list);
    *faults = (struct faults){0};
}
