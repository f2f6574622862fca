#include "edge/store/own.h"

#include <assert.h>

/*
 * Why tasks wait, for the operator's eyes: written beside what the turn is for,
 * and nothing follows from it.
 */

static const char *copy_text(struct arena *arena, const char *text)
{
    text = text ? text : "";
    return arena_copy(arena, text, strlen(text));
}

static const struct reason_row *
copy_rows(struct arena *arena, const struct reason_row *rows, size_t len)
{
    assert(rows || len == 0);
    struct reason_row *copy = arena_alloc(arena, (len + 1) * sizeof *copy);
    for (size_t i = 0; copy && i < len; i++) {
        copy[i] = rows[i];
        copy[i].word = copy_text(arena, rows[i].word);
        copy[i].answer = copy_text(arena, rows[i].answer);
    }
    return copy;
}

void reasons_copy(struct arena *arena, struct turn *turn)
{
    turn->reasons = copy_rows(arena, turn->reasons, turn->reasons_len);
    turn->reasons_gone =
        copy_rows(arena, turn->reasons_gone, turn->reasons_gone_len);
    turn->shared = copy_rows(arena, turn->shared, turn->shared_len);
}

static void add_tasks(struct pg_unit *unit, const struct reason_row *rows,
                      size_t len)
{
    struct pg_array *array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, rows[i].task);
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_INT4);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, rows[i].fence);
    }
    pg_unit_array_end(unit);
}

/** word, since_ms, tries, answer, next_ms */
static void add_words(struct pg_unit *unit, const struct reason_row *rows,
                      size_t len)
{
    struct pg_array *array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < len; i++) {
        pg_array_str(array, str_of(rows[i].word));
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, rows[i].since_ms);
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_INT4);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, rows[i].tries);
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < len; i++) {
        pg_array_str(array, str_of(rows[i].answer));
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, rows[i].next_ms);
    }
    pg_unit_array_end(unit);
}

void reasons_add(struct pg_unit *unit, const struct turn *turn)
{
    assert(turn->reasons || !turn->reasons_len);
    if (turn->reasons_gone_len) {
        pg_unit_call(unit, "reason_gone");
        add_tasks(unit, turn->reasons_gone, turn->reasons_gone_len);
    }
    if (turn->reasons_len) {
        pg_unit_call(unit, "reason_set");
        pg_unit_i64(unit, turn->owner);
        add_tasks(unit, turn->reasons, turn->reasons_len);
        struct pg_array *array = pg_unit_array(unit, PG_INT2);
        for (size_t i = 0; i < turn->reasons_len; i++) {
            pg_array_i64(array, (int64_t)turn->reasons[i].state);
        }
        pg_unit_array_end(unit);
        add_words(unit, turn->reasons, turn->reasons_len);
    }
    if (turn->shared_changed) {
        pg_unit_call(unit, "reason_shared");
        pg_unit_i64(unit, turn->owner);
        add_words(unit, turn->shared, turn->shared_len);
    }
}
