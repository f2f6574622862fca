#include "flow/sheet.h"

#include "base/sparse.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A model is old after so many folds: some, and those of so many rounds of
 * polls. */
#define RENEW_FOLDS 1000
#define RENEW_ROUNDS 4

struct sheet {
    uint32_t names_bytes;
    uint16_t room; /* behind the names */
    uint8_t model; /* of the task, by its number from 1; 0: zeros */
    /* SHEET_NAMES texts, a NUL behind each; the folded task */
    unsigned char bytes[];
};

struct model {
    struct task task; /* nobody follows its pointers */
    size_t sheets;    /* that stand on it: until then it stays as it is */
    size_t folds;     /* since it is one */
};

static_assert(sizeof(struct task) % 8 == 0 &&
                  sizeof(struct task) <= SPARSE_BYTES_MAX,
              "a task can be folded");

/* ---- sheets ---- */

/** malloc() gives multiples of 16, less what it keeps for itself: what would be
 * left over is used, so that most folds fit where the last one was. */
static size_t bytes_for(size_t texts)
{
    const size_t least = offsetof(struct sheet, bytes) + texts;
    return (least + sizeof(size_t) + 15) / 16 * 16 - sizeof(size_t);
}

size_t sheet_bytes(const struct sheet *sheet)
{
    return offsetof(struct sheet, bytes) + sheet->names_bytes + sheet->room;
}

/** With room for so much behind the names. */
static bool resize(struct sheet **sheet, size_t names_bytes, size_t task_bytes)
{
    const size_t bytes = bytes_for(names_bytes + task_bytes);
    struct sheet *resized = realloc(*sheet, bytes);
    if (!resized) {
        return false;
    }
    const size_t room = bytes - offsetof(struct sheet, bytes) - names_bytes;
    assert(room >= task_bytes && room <= UINT16_MAX);
    resized->names_bytes = (uint32_t)names_bytes;
    resized->room = (uint16_t)room;
    *sheet = resized;
    return true;
}

struct sheet *sheet_new(const struct models *models,
                        const struct str names[SHEET_NAMES])
{
    struct sheet *sheet = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < SHEET_NAMES; i++) {
        bytes += names[i].len + 1;
    }
    if (bytes > UINT32_MAX || !resize(&sheet, bytes, models->usual)) {
        return NULL;
    }
    unsigned char *at = sheet->bytes;
    for (size_t i = 0; i < SHEET_NAMES; i++) {
        if (names[i].len) {
            memcpy(at, names[i].at, names[i].len);
        }
        at[names[i].len] = '\0';
        at += names[i].len + 1;
    }
    return sheet;
}

const char *sheet_name(const struct sheet *sheet, enum sheet_name name)
{
    assert(sheet && name < SHEET_NAMES);
    const char *text = (const char *)sheet->bytes;
    for (unsigned i = 0; i < name; i++) {
        text += strlen(text) + 1;
    }
    return text;
}

/* ---- models ---- */

void models_done(struct models *models)
{
    for (size_t i = 0; i < MODELS_MAX; i++) {
        assert(!models->all[i] || models->all[i]->sheets == 0);
        free(models->all[i]);
    }
    *models = (struct models){0};
}

static const struct task *task_of(const struct models *models, unsigned number)
{
    static const struct task zeros;
    return number ? &models->all[number - 1]->task : &zeros;
}

/** Times move on, and the first one of all had just begun. Whoever stands on an
 * old one leaves it with the next poll. */
static bool is_old(const struct model *model)
{
    return model->folds >= RENEW_FOLDS + RENEW_ROUNDS * model->sheets;
}

/** One of the task's account that somebody stands on. */
static unsigned find(struct models *models, const struct task *task, bool old)
{
    for (size_t i = 0; i < MODELS_MAX; i++) {
        const size_t at = (models->last + i) % MODELS_MAX;
        const struct model *model = models->all[at];
        if (model && model->sheets > 0 && (old || !is_old(model)) &&
            strcmp(model->task.row.account, task->row.account) == 0) {
            models->last = at;
            return (unsigned)at + 1;
        }
    }
    return 0;
}

/** The task itself becomes one where there is a place. */
static unsigned add(struct models *models, const struct task *task)
{
    for (size_t at = 0; at < MODELS_MAX; at++) {
        struct model **model = &models->all[at];
        if (!*model) {
            *model = calloc(1, sizeof **model);
        }
        if (*model && (*model)->sheets == 0) {
            (*model)->task = *task;
            (*model)->folds = 0;
            models->last = at;
            return (unsigned)at + 1;
        }
    }
    return 0;
}

/* ---- folding ---- */

bool sheet_fold(struct sheet **sheet, struct models *models,
                const struct task *task)
{
    unsigned char packed[SPARSE_MOST(sizeof *task)];
    unsigned number = find(models, task, false);
    number = number ? number : add(models, task);
    number = number ? number : find(models, task, true);
    const size_t bytes =
        sparse_pack(task, task_of(models, number), sizeof *task, packed);
    const size_t names_bytes = (*sheet)->names_bytes;
    if (bytes_for(names_bytes + bytes) != sheet_bytes(*sheet) &&
        !resize(sheet, names_bytes, bytes)) {
        return false;
    }
    memcpy((*sheet)->bytes + names_bytes, packed, bytes);
    (*sheet)->model = (uint8_t)number;
    models->usual = bytes;
    if (number) {
        models->all[number - 1]->sheets++;
        models->all[number - 1]->folds++;
    }
    return true;
}

void sheet_unfold(struct sheet *sheet, struct models *models, struct task *task)
{
    const unsigned number = sheet->model;
    sparse_unpack(sheet->bytes + sheet->names_bytes, task_of(models, number),
                  task, sizeof *task);
    if (number) {
        assert(models->all[number - 1]->sheets > 0);
        models->all[number - 1]->sheets--;
        sheet->model = 0;
    }
}
