#include "flow/pass.h"

#include <assert.h>
#include <string.h>

/** Without memory for them it is tried with the next turn's pass. */
static void gather_forget(struct pass *pass, struct turn *turn,
                          struct arena *arena)
{
    int64_t *dead = arena_alloc(arena, sizeof pass->dead);
    assert(pass->dead_len > 0 && pass->dead_len <= DEAD_MAX);
    if (dead) {
        memcpy(dead, pass->dead, sizeof pass->dead);
    }
    turn->forget = dead;
    turn->forget_len = dead ? pass->dead_len : 0;
    pass->forget_wanted = false;
}

static void look_lower(void *lowest, struct job *job)
{
    int64_t *id = lowest;
    if (job->id < *id) {
        *id = job->id;
    }
}

/** What never had an owner has an index of its own. */
static void begin(struct pass *pass, struct jobs *jobs)
{
    assert(!pass->under_way);
    *pass = (struct pass){
        .under_way = true, .clean = true, .nobodys = !pass->wanted};
    if (!pass->nobodys && jobs->used > 0) {
        int64_t lowest = INT64_MAX;
        jobs_each(jobs, look_lower, &lowest);
        pass->began = pass->after = lowest - 1;
    }
}

void pass_gather(struct pass *pass, struct jobs *jobs, struct turn *turn,
                 int room, struct arena *arena)
{
    assert(pass->under_way || pass->after == 0);
    if (pass->forget_wanted) {
        gather_forget(pass, turn, arena);
    }
    if (!pass->wanted && !pass->nobodys_wanted && !pass->under_way) {
        room = 0;
    }
    turn->adopts_max = room;
    turn->adopt_begins = room > 0 && !pass->under_way;
    if (turn->adopt_begins) {
        begin(pass, jobs);
    }
    turn->adopt_after = pass->after;
    turn->adopt_until = pass->around ? pass->began : 0;
    turn->adopt_nobodys = pass->nobodys;
}

void pass_came(struct pass *pass, const struct turn_result *result, int asked)
{
    if (asked <= 0 || !pass->under_way) {
        return;
    }
    if (result->lease_dead) {
        *pass = (struct pass){.wanted = pass->wanted, /* none were looked for */
                              .nobodys_wanted = pass->nobodys_wanted};
        return;
    }
    assert(result->dead_len <= DEAD_MAX);
    if (result->dead_len) {
        memcpy(pass->dead, result->dead,
               result->dead_len * sizeof(*result->dead));
        pass->dead_len = result->dead_len;
    }
    pass->clean &= (int)result->adopted_len == result->adopts_seen;
    pass->after = result->adopt_last;
    if (result->adopts_seen < asked && pass->began > 0 && !pass->around) {
        pass->around = true;
        pass->after = 0;
    } else if (result->adopts_seen < asked) {
        pass->under_way = false;
        pass->after = 0;
        pass->forget_wanted = pass->clean && pass->dead_len > 0;
    }
}
