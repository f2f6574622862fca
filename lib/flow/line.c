#include "flow/line.h"

#include <assert.h>

size_t line_len(const struct list *line, size_t max)
{
    size_t len = 0;
    assert(line->next);
    for (const struct list *at = line->next; at != line && len < max;
         at = at->next) {
        len++;
    }
    return len;
}

int64_t *line_take(struct list *line, struct arena *arena,
                   struct job_ref **refs, size_t *refs_len, size_t max,
                   size_t room)
{
    assert(max > 0);
    max = line_len(line, max);
    int64_t *ids = arena_alloc(arena, (max + room + 1) * sizeof *ids);
    *refs = arena_alloc(arena, (max + 1) * sizeof **refs);
    *refs_len = 0;
    while (ids && *refs && *refs_len < max) {
        struct job *job = LIST_OWNER(list_pop(line), struct job, link);
        assert(job->phase == JOB_READING || job->phase == JOB_REREADING);
        job->seen = false;
        ids[*refs_len] = job_task(job)->row.id;
        (*refs)[(*refs_len)++] = job_ref(job);
    }
    return ids;
}

void line_again(const struct jobs *jobs, struct list *line,
                const struct job_ref *refs, size_t len, enum job_phase phase)
{
    assert(phase == JOB_READING || phase == JOB_REREADING);
    for (size_t i = 0; i < len; i++) {
        struct job *job = jobs_get(jobs, refs[i]);
        if (job && job->phase == phase) {
            list_remove(&job->link);
            list_add_tail(line, &job->link);
        }
    }
}
