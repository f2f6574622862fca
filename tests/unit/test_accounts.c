#include "core/accounts.h"
#include "lib/check.h"

#include <stdlib.h>

/* ---- reading them ---- */

struct read {
    struct accounts accounts;
    struct arena arena;
    struct buf faults;
    struct buf warnings;
    bool fine;
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const char *file_text(const char *path, struct arena *arena,
                             const char **why)
{
    *why = "No such file";
    return strcmp(path, "/keys/b") == 0 ? arena_copy(arena, "sk-file", 7)
                                        : NULL;
}

static struct read *read_accounts(const char *json, bool secret)
{
    struct read *read = calloc(1, sizeof *read);
    arena_init(&read->arena, 1024, 0);
    buf_init(&read->faults, 0);
    buf_init(&read->warnings, 0);
    const struct accounts_reading reading = {
        .json = str_of(json),
        .base_url = STR("https://api.apimart.ai"),
        .read_file = file_text,
        .secret = secret,
        .arena = &read->arena,
        .faults = &read->faults,
        .warnings = &read->warnings,
    };
    read->fine = accounts_parse(&reading, &read->accounts);
    buf_add_char(&read->faults, '\0');
    return read;
}

static void done(struct read *read)
{
    arena_done(&read->arena);
    buf_done(&read->faults);
    buf_done(&read->warnings);
    free(read);
}

TEST_CASE(accounts_parse__every_field__is_taken)
{
    struct read *read =
        read_accounts("[{\"name\":\"plan-a\",\"key\":\"sk-a\",\"slots\":20},"
                      "{\"name\":\"B.2\",\"key_file\":\"/keys/b\",\"weight\":3,"
                      "\"base_url\":\"https://other.example/v/\","
                      "\"slots\":9,\"slots_min\":9,"
                      "\"old_keys\":[\"sk-1\",\"sk-2\"]}]",
                      false);
    assert_string_equal(read->faults.bytes, "");
    assert_true(read->fine);
    assert_int_equal(read->accounts.len, 2);
    const struct account_settings *a = &read->accounts.at[0];
    const struct account_settings *b = &read->accounts.at[1];
    assert_string_equal(a->name, "plan-a");
    assert_int_equal(a->slots, 20);
    assert_int_equal(a->weight, 1);
    assert_int_equal(a->keys_len, 1);
    assert_true(str_eq(a->keys[0].base_url, STR("https://api.apimart.ai")));
    assert_true(str_eq(a->keys[0].key, STR("sk-a")));
    assert_int_equal(a->slots_min, 0);
    assert_int_equal(b->slots, 9);
    assert_int_equal(b->slots_min, 9);
    assert_int_equal(b->weight, 3);
    assert_int_equal(b->keys_len, 3);
    assert_true(str_eq(b->keys[0].key, STR("sk-file")));
    assert_true(str_eq(b->keys[2].key, STR("sk-2")));
    assert_true(str_eq(b->keys[2].base_url, STR("https://other.example/v")));
    /* Whose a row is, and under which key it was sent. */
    assert_int_equal(accounts_find(&read->accounts, a->keys[0].account), 0);
    assert_int_equal(accounts_find(&read->accounts, b->keys[1].account), 1);
    assert_int_equal(accounts_find(&read->accounts, ""), 2);
    assert_ptr_equal(account_key(b, b->keys[1].account), &b->keys[1]);
    assert_ptr_equal(account_key(b, "B.2:0:0"), &b->keys[0]);
    assert_int_equal(accounts_named(&read->accounts, STR("B.2")), 1);
    assert_int_equal(accounts_named(&read->accounts, STR("b.2")), 2);
    done(read);
}

TEST_CASE(accounts_one__is_the_default)
{
    struct accounts accounts;
    accounts_one(STR("https://api.apimart.ai"), STR("sk-a"), &accounts);
    assert_int_equal(accounts.len, 1);
    assert_string_equal(accounts.at[0].name, "default");
    assert_int_equal(accounts.at[0].weight, 1);
    assert_int_equal(accounts_named(&accounts, STR("default")), 0);
}

/** What is told of each, in these words. */
static const char *const wrong[][2] = {
    {"", "APIMART_ACCOUNTS: is not JSON ("},
    {"{\"name\":\"a\",\"key\":\"k\"}",
     "APIMART_ACCOUNTS: is no JSON array, allowed: an array of 1..32 objects"},
    {"[]", "APIMART_ACCOUNTS: is an empty list"},
    {"[5]",
     "APIMART_ACCOUNTS: account number 1: value (not shown) is no object"},
    {"[{\"key\":\"k\"}]",
     "APIMART_ACCOUNTS: account number 1: name is not set, allowed: 1..32 of"},
    {"[{\"name\":\"a b\",\"key\":\"k\"}]",
     "APIMART_ACCOUNTS: account number 1: name: value \"a b\" is none"},
    {"[{\"name\":\"\",\"key\":\"k\"}]", "name: value \"\" is none"},
    {"[{\"name\":\"-a\",\"key\":\"k\"}]", "name: value \"-a\" is none"},
    {"[{\"name\":\"a:b\",\"key\":\"k\"}]", "name: value \"a:b\" is none"},
    {"[{\"name\":7,\"key\":\"k\"}]", "name: value 7 is none"},
    {"[{\"name\":\"a\"}]",
     "account \"a\": key is not set, allowed: the provider's key, or key_file"},
    {"[{\"name\":\"a\",\"key\":\"\"}]",
     "account \"a\": key: value (not shown) is empty"},
    {"[{\"name\":\"a\",\"key\":5}]", "key: value (not shown) is no text"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"key_file\":\"/keys/b\"}]",
     "key: value (not shown) is set, and key_file too, allowed: one of them"},
    {"[{\"name\":\"a\",\"key_file\":\"/keys/c\"}]",
     "account \"a\": key_file: file \"/keys/c\" can't be read (No such file)"},
    {"[{\"name\":\"a\",\"key_file\":\"sk-slip\"}]",
     "key_file: value (not shown) is no absolute path"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"slots\":-1}]",
     "account \"a\": slots: value -1 is not such a whole number, allowed: "
     "0..1000000 (0: no limit)"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"slots_min\":1}]",
     "account \"a\": slots_min: value 1 has no slots to be less than, "
     "allowed: beside slots of 1 or more"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"slots\":5,\"slots_min\":6}]",
     "slots_min: value 6 is more than its slots, allowed: 1..5"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"slots\":5,\"slots_min\":0}]",
     "slots_min: value 0 is not such a whole number"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"slots\":\"5\"}]",
     "slots: value \"5\" is not such a whole number"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"weight\":0}]",
     "weight: value 0 is not such a whole number, allowed: 1..1000"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"weight\":1.5}]", "weight: value 1.5"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"base_url\":\"ftp://x\"}]",
     "account \"a\": base_url: value \"ftp://x\" "},
    {"[{\"name\":\"a\",\"key\":\"k\",\"base_url\":null}]",
     "base_url: value null is not an http(s) URL"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"old_keys\":\"k2\"}]",
     "old_keys: value (not shown) is none, allowed: an array of at most 4"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"old_keys\":[\"k\"]}]",
     "old_keys: value (not shown) names a key twice"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"old_keys\":[3]}]",
     "old_keys: value (not shown) holds what is no text"},
    {"[{\"name\":\"a\",\"key\":\"k\",\"slot\":5}]",
     "account \"a\": unknown field \"slot\", allowed: name, base_url, key"},
    {"[{\"name\":\"a\",\"key\":\"k\"},{\"name\":\"a\",\"key\":\"l\"}]",
     "account \"a\": name: is another account's too, allowed: each once"},
    {"[{\"name\":\"a\",\"key\":\"k\"},{\"name\":\"b\",\"key\":\"k\"}]",
     "account \"b\": key: value (not shown) is another account's too"},
};

TEST_CASE(accounts_parse__at_fault__names_account_field_value_and_allowed)
{
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        struct read *read = read_accounts(wrong[i][0], false);
        if (read->fine || !strstr(read->faults.bytes, wrong[i][1])) {
            fail_msg("%s: %s", wrong[i][0], read->faults.bytes);
        }
        assert_null(strstr(read->faults.bytes, "sk-"));
        assert_non_null(strchr(read->faults.bytes, '\n'));
        done(read);
    }
}

TEST_CASE(accounts_parse__out_of_a_file__shows_no_value)
{
    struct read *read = read_accounts(
        "[{\"name\":\"sesame\",\"key\":\"k\",\"slots\":\"sesame\","
        "\"sesame\":1,\"base_url\":\"sesame\"},"
        "{\"name\":\"b\",\"key_file\":\"/sesame\"}]",
        true);
    assert_false(read->fine);
    assert_null(strstr(read->faults.bytes, "sesame"));
    done(read);
}

TEST_CASE(accounts_parse__all_faults__are_told_at_once)
{
    struct read *read = read_accounts("[{\"name\":\"a\",\"slots\":-1},"
                                      "{\"name\":\"b\",\"weight\":-1}]",
                                      false);
    int lines = 0;
    for (const char *at = read->faults.bytes; (at = strchr(at, '\n')); at++) {
        lines++;
    }
    assert_int_equal(lines, 4);
    done(read);
}

TEST_CASE(accounts_parse__too_many__is_refused)
{
    struct buf json;
    buf_init(&json, 0);
    for (int i = 0; i <= ACCOUNTS_MAX; i++) {
        buf_printf(&json, "%s{\"name\":\"a%d\",\"key\":\"k%d\"}", i ? "," : "[",
                   i, i);
    }
    buf_add_text(&json, "]");
    buf_add_char(&json, '\0');
    struct read *read = read_accounts(json.bytes, false);
    assert_false(read->fine);
    assert_non_null(strstr(read->faults.bytes, "names too many accounts"));
    done(read);
    buf_done(&json);
}

/* ---- whose turn it is ---- */

TEST_CASE(accounts_next__by_weight__over_all_that_are_open)
{
    struct account_turn turns[] = {{.open = true, .weight = 1},
                                   {.open = true, .weight = 2},
                                   {.open = false, .weight = 9}};
    int given[3] = {0};
    for (int i = 0; i < 300; i++) {
        const size_t next = accounts_next(turns, 3);
        given[next]++;
        accounts_served(turns, 3, next, 1);
    }
    assert_int_equal(given[0], 100);
    assert_int_equal(given[1], 200);
    assert_int_equal(given[2], 0);
    /* Whoever comes back makes up for nothing. */
    turns[2].open = true;
    for (int i = 0; i < 120; i++) {
        const size_t next = accounts_next(turns, 3);
        given[next]++;
        accounts_served(turns, 3, next, 1);
    }
    assert_in_range(given[2], 88, 92);
}

TEST_CASE(accounts_next__none_is_open__is_nobody)
{
    struct account_turn turns[] = {{.weight = 1}, {.weight = 1}};
    assert_int_equal(accounts_next(turns, 2), 2);
    accounts_served(turns, 2, 1, 5);
}

TEST_CASE(accounts_part__of_room__is_by_weight_and_one_at_least)
{
    const struct account_turn turns[] = {{.open = true, .weight = 1},
                                         {.open = true, .weight = 3},
                                         {.open = false, .weight = 100}};
    assert_int_equal(accounts_part(turns, 3, 0, 32), 8);
    assert_int_equal(accounts_part(turns, 3, 1, 32), 24);
    assert_int_equal(accounts_part(turns, 3, 0, 1), 1);
    assert_int_equal(accounts_part(turns, 3, 0, 0), 0);
    const struct account_turn one[] = {{.open = true, .weight = 7}};
    assert_int_equal(accounts_part(one, 1, 0, 32), 32);
}

TESTS_RUN(NULL, NULL)
