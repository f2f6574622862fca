#include "merge.h"

#include "base/settings_check.h"

#include <assert.h>
#include <string.h>

static json_int_t number(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

/* ---- list ---- */

/** The list whose next row is the newest of all; its number, or that behind the
 * last: all are at their end. */
static size_t newest(const json_t *lists, const size_t *at)
{
    size_t best = json_array_size(lists);
    json_int_t best_ms = 0;
    for (size_t i = 0; i < json_array_size(lists); i++) {
        const json_t *row = json_array_get(json_array_get(lists, i), at[i]);
        if (row && (best == json_array_size(lists) ||
                    number(row, "received_ms") > best_ms)) {
            best = i;
            best_ms = number(row, "received_ms");
        }
    }
    return best;
}

json_t *merge_newest(const json_t *lists, size_t most, bool *more)
{
    size_t at[SETTING_CELLS_MAX] = {0};
    assert(json_array_size(lists) <= SETTING_CELLS_MAX);
    json_t *all = json_array();
    for (;;) {
        size_t i = newest(lists, at);
        *more = i < json_array_size(lists);
        if (!*more || json_array_size(all) == most) {
            return all;
        }
        json_array_append(all, json_array_get(json_array_get(lists, i), at[i]));
        at[i]++;
    }
}

/* ---- stats ---- */

/** A whole number stays one. */
static void add_number(json_t *all, const char *name, const json_t *value)
{
    const json_t *so_far = json_object_get(all, name);
    if (!value) {
        return;
    }
    if (json_is_real(value) || json_is_real(so_far)) {
        json_object_set_new(
            all, name,
            json_real(json_number_value(so_far) + json_number_value(value)));
    } else {
        json_object_set_new(all, name,
                            json_integer(json_integer_value(so_far) +
                                         json_integer_value(value)));
    }
}

static json_t *sum_of_arrays(const json_t *a, const json_t *b)
{
    json_t *sum = json_array();
    for (size_t i = 0; i < json_array_size(a) || i < json_array_size(b); i++) {
        json_array_append_new(
            sum, json_integer(json_integer_value(json_array_get(a, i)) +
                              json_integer_value(json_array_get(b, i))));
    }
    return sum;
}

/** Numbers before texts; what is not there comes first. */
static int compare(const json_t *a, const json_t *b)
{
    if (json_is_string(a) && json_is_string(b)) {
        return strcmp(json_string_value(a), json_string_value(b));
    }
    const json_int_t one = json_integer_value(a);
    const json_int_t other = json_integer_value(b);
    return (one > other) - (one < other);
}

static int compare_rows(const json_t *a, const json_t *b,
                        const char *const *keys, size_t keys_len)
{
    for (size_t i = 0; i < keys_len; i++) {
        int order =
            compare(json_object_get(a, keys[i]), json_object_get(b, keys[i]));
        if (order) {
            return order;
        }
    }
    return 0;
}

static void add_stat(json_t *all, const json_t *row)
{
    static const char *const numbers[] = {"count", "completed", "cost",
                                          "credits_cost"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        add_number(all, numbers[i], json_object_get(row, numbers[i]));
    }
    json_object_set_new(all, "latency",
                        sum_of_arrays(json_object_get(all, "latency"),
                                      json_object_get(row, "latency")));
}

void merge_stats(json_t *all, const json_t *rows, const char *const *keys,
                 size_t keys_len)
{
    size_t at = 0; /* both are in order */
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        int order = -1;
        while (at < json_array_size(all) &&
               (order = compare_rows(json_array_get(all, at), row, keys,
                                     keys_len)) < 0) {
            at++;
        }
        if (at < json_array_size(all) && order == 0) {
            add_stat(json_array_get(all, at), row);
        } else {
            json_array_insert(all, at, row);
        }
    }
}

/* ---- top ---- */

static void add_all(json_t *all, const char *name, const json_t *values)
{
    const char *key;
    const json_t *value;
    json_t *sums = json_object_get(all, name);
    if (!sums) {
        sums = json_object();
        json_object_set_new(all, name, sums);
    }
    json_object_foreach((json_t *)values, key, value)
    {
        add_number(sums, key, value);
    }
}

static void keep_least(json_t *all, const char *name, const json_t *row)
{
    json_t *value = json_object_get(row, name);
    const json_t *least = json_object_get(all, name);
    if (value && (!least || number(row, name) < number(all, name))) {
        json_object_set(all, name, value);
    }
}

void merge_top(json_t *all, const json_t *row)
{
    static const char *const times[] = {"oldest_queued_ms", "expires_ms",
                                        "deadline_ms"};
    json_t *holds = json_object_get(all, "holds");
    if (number(row, "now_ms") > number(all, "now_ms")) {
        json_object_set(all, "now_ms", json_object_get(row, "now_ms"));
    }
    add_all(all, "states", json_object_get(row, "states"));
    add_all(all, "ends", json_object_get(row, "ends"));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        keep_least(all, times[i], row);
    }
    add_number(all, "untold", json_object_get(row, "untold"));
    add_number(all, "doubts", json_object_get(row, "doubts"));
    if (!holds) {
        json_object_set(all, "holds", json_object_get(row, "holds"));
    } else {
        json_array_extend(holds, json_object_get(row, "holds"));
    }
}
