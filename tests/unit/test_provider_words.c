#include "core/provider_error.h"
#include "lib/check.h"

static struct provider_error says(int status, const char *code,
                                  const char *message)
{
    return (struct provider_error){
        .told = true,
        .json = true,
        .worded = true,
        .status = status,
        .code = str_of(code),
        .message = str_of(message),
        .provider_code = str_of(code),
    };
}

TEST_CASE(provider_error_is_moderation__in_any_language__is_heard)
{
    static const char *const heard[] = {"flagged by Moderation", "NSFW content",
                                        "violates our usage policies",
                                        "内容审核未通过"};
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) {
        const struct provider_error error = says(400, "", heard[i]);
        assert_true(provider_error_is_moderation(&error));
        assert_false(provider_error_is_balance(&error));
        assert_false(provider_error_is_no_money(&error));
        assert_false(provider_error_is_channel(&error));
    }
    struct provider_error error = says(500, "500063", "failed");
    assert_true(provider_error_is_moderation(&error));
    error = says(400, "", "the duration is too long");
    assert_false(provider_error_is_moderation(&error));
    error = says(400, "", "moderation");
    error.worded = false; /* the words are ours */
    assert_false(provider_error_is_moderation(&error));
}

TEST_CASE(provider_error_is_no_money__both_halves__or_it_is_not)
{
    static const struct {
        const char *message;
        bool none;
        bool balance;
    } rows[] = {
        {"insufficient credits", true, true},
        {"your balance is not enough", true, true},
        {"余额不足", true, true},
        {"the balance of colours", false, true}, /* enough in a 403 only */
        {"insufficient light in the prompt", false, false},
        {"credits roll at the end", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct provider_error error = says(403, "", rows[i].message);
        assert_int_equal(provider_error_is_no_money(&error), rows[i].none);
        assert_int_equal(provider_error_is_balance(&error), rows[i].balance);
    }
}

TEST_CASE(provider_error_is_channel__who_stands_before__is_told_apart)
{
    static const struct {
        const char *message;
        bool channel;
    } rows[] = {
        {"your IP is not in the white list", true},
        {"no route for /v1/videos/generations", true},
        {"a ship on the list of ships", false}, /* "ip" is no word there */
        {"this image cannot be used", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct provider_error error = says(403, "", rows[i].message);
        assert_int_equal(provider_error_is_channel(&error), rows[i].channel);
    }
    struct provider_error error = says(403, "", "Forbidden.");
    error.flat = true;
    assert_true(provider_error_is_channel(&error));
    error.json = false; /* a page */
    assert_true(provider_error_is_channel(&error));
}

TEST_CASE(provider_error_denies_task__an_id_or_a_path)
{
    struct provider_error error = says(404, "", "task not found");
    assert_true(provider_error_denies_task(&error));
    error = says(404, "", "no route to this path");
    assert_false(provider_error_denies_task(&error));
    error = says(404, "", "not found");
    error.flat = true; /* anybody's words */
    assert_false(provider_error_denies_task(&error));
    error.message = STR("任务不存在");
    assert_true(provider_error_denies_task(&error));
    error.told = false;
    assert_false(provider_error_denies_task(&error));
}

TESTS_RUN(NULL, NULL)
