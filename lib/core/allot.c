#include "core/allot.h"

#include <assert.h>
#include <limits.h>

bool allot_is_recent(int64_t last_sent_ms, int64_t now_ms)
{
    return last_sent_ms > now_ms - ALLOT_COUNTS_MS;
}

bool allot_counts(const struct task_row *row, int64_t now_ms)
{
    return (row->state == SUBMITTING || row->state == RUNNING) &&
           allot_is_recent(row->last_sent_ms, now_ms);
}

int allot_room(const struct allot *allot, int used)
{
    assert(allot->most >= 0 && allot->held >= 0 && used >= 0);
    if (allot->most == 0) {
        return INT_MAX;
    }
    return allot->held > used ? allot->held - used : 0;
}

int allot_more(const struct allot *allot, int used, int wanted, int64_t boot_ms)
{
    assert(wanted >= 0);
    const int room = allot_room(allot, used);
    if (room >= wanted || allot->asking || boot_ms < allot->ask_ms) {
        return 0;
    }
    int64_t more = (int64_t)wanted - room + allot->fresh;
    return more < allot->most ? (int)more : allot->most;
}

void allot_asked(struct allot *allot, int64_t boot_ms)
{
    assert(allot->most > 0 && !allot->asking);
    allot->asking = true;
    allot->adding++;
    allot->ask_ms = boot_ms + ALLOT_EVERY_MS;
}

static void answered(struct allot *allot)
{
    assert(allot->asking && allot->adding > 0);
    allot->asking = false;
    allot->adding--;
}

void allot_busy(struct allot *allot)
{
    answered(allot);
    allot->ask_ms = 0;
}

void allot_got(struct allot *allot, int got, bool none_waits)
{
    assert(got >= 0 && got <= allot->most);
    answered(allot);
    allot->held += got;
    allot->fresh += got;
    if (none_waits) {
        allot->ask_ms = 0; /* nothing was taken */
    }
}

void allot_lost(struct allot *allot)
{
    answered(allot);
}

void allot_adopting(struct allot *allot)
{
    allot->adding++;
}

void allot_adopted(struct allot *allot, int places)
{
    assert(places >= 0 && allot->adding > 0);
    allot->adding--;
    allot->held += places;
}

void allot_claimed(struct allot *allot, int claimed)
{
    assert(claimed >= 0);
    if (allot->most > 0) {
        allot->fresh += claimed;
    }
}

int allot_give(struct allot *allot, int used)
{
    const int spare = allot->most > 0 ? allot_room(allot, used) : 0;
    const int give = spare > allot->fresh ? spare - allot->fresh : 0;
    allot->held -= give;
    allot->fresh = 0;
    return give;
}

void allot_told(struct allot *allot, int held)
{
    if (allot->most > 0 && allot->adding == 0) {
        allot->held = held > 0 ? held : 0;
    }
}

void allot_reset(struct allot *allot)
{
    *allot = (struct allot){.most = allot->most};
}
