#include "flow/render.h"

#include "core/delivery.h"
#include "core/event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool render_event(struct job *job, const struct outcome *outcome,
                  struct step *step)
{
    assert(step->settles && job->effect && job->effect->facts);
    struct arena *arena = &job->effect->arena;
    const struct facts_row *facts = job->effect->facts;
    struct details differs;
    unsigned differences = 0;
    if (!delivery_compare(facts->body, facts->facts.mode, outcome->videos,
                          outcome->videos_len, &differences, &differs, arena)) {
        return false;
    }
    const char *text = event_render(
        &step->next.row, &facts->facts,
        step->next.row.state == FAILED ? &step->failure : NULL, NULL,
        outcome->videos, outcome->videos_len, &differs, arena);
    char *event = text ? strdup(text) : NULL;
    if (event) {
        free(step->next.row.event);
        step->next.row.event = event;
        step->differs = differences;
    }
    return event != NULL;
}
