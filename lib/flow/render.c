#include "flow/render.h"

#include "core/event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool render_event(struct job *job, const struct outcome *outcome,
                  struct step *step)
{
    assert(step->settles && job->effect && job->effect->facts);
    struct arena *arena = &job->effect->arena;
    const char *text =
        event_render(&step->next.row, &job->effect->facts->facts,
                     step->next.row.state == FAILED ? &step->failure : NULL,
                     NULL, outcome->videos, outcome->videos_len, arena);
    char *event = text ? strdup(text) : NULL;
    if (event) {
        free(step->next.row.event);
        step->next.row.event = event;
    }
    return event != NULL;
}
