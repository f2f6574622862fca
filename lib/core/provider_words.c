#include "core/provider_error.h"

#include <assert.h>

/*
 * What the words of an error speak of. They are many, because the replies come
 * through relays and gateways that put them in their own ways.
 */

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* clang-format off */
static const char *const moderation_words[] = {
    "moderat", "nsfw", "sensitive", "content_policy", "content policy",
    "content_filter", "content filter", "content-filter", "usage policies",
    "policy violation", "policy_violation", "policyviolation", "violates our", "safety system",
    "safety filter", "safety_check", "safety check", "inappropriate",
    "prohibited content", "prohibited_content", "sexual", "nudity",
    "risk control", "risk_control",
    "审核", "违规", "敏感", "违禁", "违反", "不合规", "不当内容", "风控",
    "色情",
};

static const char *const moderation_codes[] = {"400063", "500054", "500063"};

static const char *const overload_codes[] = {"500044", "500069", "500100",
                                             "99999"};

static const char *const crowded_codes[] = {"500044"};

/* Enough in a 403, which says of itself that something is not granted. */
static const char *const balance_words[] = {
    "insufficient quota", "insufficient_quota", "balance", "余额", "额度",
};

static const char *const money_words[] = {
    "quota", "balance", "credit", "fund", "余额", "额度", "积分", "点数",
    "配额", "点券",
};

static const char *const lack_words[] = {
    "insufficient", "not enough", "not_enough", "not sufficient", "used up",
    "run out", "ran out", "out of", "不足", "不够", "用尽", "用完", "耗尽",
};

/* Say both at once. */
static const char *const no_money_words[] = {
    "payment_required", "payment required", "exceeded your current quota",
    "欠费", "请充值",
};

static const char *const place_words[] = {
    "unsupported_country", "country, region", "region is not",
    "country is not", "your country", "your region", "所在地区",
};

static const char *const list_words[] = {
    "not", "allow", "white", "list", "block", "ban", "forbid", "denied",
    "restrict", "不", "禁", "白名单", "限制",
};

/* What gateways and frameworks say of a path that they don't know. */
static const char *const path_words[] = {
    "/v1/", "no route", "route not", "route ", "invalid url", "unknown url",
    "unrecognized request url", "cannot post", "cannot get", "no such page",
    "page not found", "endpoint", "no static resource",
    "missing authentication token", "unknown path", "invalid path",
};

/* All that somebody says who knows nothing of videos. */
static const char *const bare_phrases[] = {
    "forbidden", "access denied", "not found", "404 not found",
    "403 forbidden", "resource not found", "the requested resource was not found",
    "method not allowed", "405 method not allowed", "request blocked",
    "unauthorized", "permission denied", "error", "blocked",
};

/* Whom a whole key or account stands for, and what has become of them. A threat
 * ("will be suspended") is none of these. */
static const char *const us_words[] = {
    "account", "user has", "user is", "token has", "token is", "key has",
    "key is", "令牌", "账户", "账号", "帐号", "用户",
};

static const char *const barred_words[] = {
    "been banned", "is banned", "been suspended", "is suspended",
    "been deactivated", "is deactivated", "been disabled", "is disabled",
    "been frozen", "is frozen", "been terminated", "被封禁", "已封禁", "被禁用",
    "已禁用", "被冻结", "已冻结", "已停用", "被停用",
};

static const char *const task_words[] = {"task", "任务"};

static const char *const unknown_id_words[] = {
    "task id", "task_id", "taskid", "任务", "task not", "not found",
    "not exist", "no such task",
};
/* clang-format on */

static bool any_in(struct str text, const char *const *words, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (str_find_nocase(text, str_of(words[i])) >= 0) {
            return true;
        }
    }
    return false;
}

/** Somewhere among the words that the provider used. */
static bool told_any(const struct provider_error *error,
                     const char *const *words, size_t len)
{
    return (error->worded && any_in(error->message, words, len)) ||
           any_in(error->code, words, len) || any_in(error->type, words, len) ||
           any_in(error->inner, words, len);
}

/** One of them is its code, wherever that stands. */
static bool has_code(const struct provider_error *error,
                     const char *const *codes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const struct str code = str_of(codes[i]);
        if (str_eq(error->provider_code, code) || str_eq(error->code, code) ||
            str_eq(error->inner, code)) {
            return true;
        }
    }
    return false;
}

bool provider_error_is_overload(const struct provider_error *error)
{
    return has_code(error, overload_codes, LENGTH(overload_codes));
}

bool provider_error_is_crowded(const struct provider_error *error)
{
    return has_code(error, crowded_codes, LENGTH(crowded_codes));
}

bool provider_error_is_moderation(const struct provider_error *error)
{
    if (has_code(error, moderation_codes, LENGTH(moderation_codes))) {
        return true;
    }
    return told_any(error, moderation_words, LENGTH(moderation_words));
}

static bool lacks_money(struct str text)
{
    return any_in(text, no_money_words, LENGTH(no_money_words)) ||
           (any_in(text, money_words, LENGTH(money_words)) &&
            any_in(text, lack_words, LENGTH(lack_words)));
}

bool provider_error_is_no_money(const struct provider_error *error)
{
    if (provider_error_is_moderation(error)) {
        return false;
    }
    return (error->worded && lacks_money(error->message)) ||
           lacks_money(error->code) || lacks_money(error->type) ||
           lacks_money(error->inner);
}

bool provider_error_is_balance(const struct provider_error *error)
{
    if (provider_error_is_moderation(error)) {
        return false;
    }
    static const struct str quota = {"quota", 5};
    return provider_error_is_no_money(error) ||
           str_find_nocase(error->type, quota) >= 0 ||
           str_find_nocase(error->code, quota) >= 0 ||
           str_find_nocase(error->inner, quota) >= 0 ||
           (error->worded &&
            any_in(error->message, balance_words, LENGTH(balance_words)));
}

static bool is_letter(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/** "IP" as a word of its own, and that it is on a list, or not. */
static bool speaks_of_address(struct str text)
{
    static const struct str ip = {"ip", 2};
    for (struct str rest = text;;) {
        const ptrdiff_t at = str_find_nocase(rest, ip);
        if (at < 0) {
            return false;
        }
        const char *word = rest.at + at;
        const char *behind = word + ip.len;
        rest.len -= (size_t)at + ip.len;
        rest.at = behind;
        if ((word == text.at || !is_letter(word[-1])) &&
            (rest.len == 0 || !is_letter(*behind))) {
            return any_in(text, list_words, LENGTH(list_words));
        }
    }
}

/** The account itself is barred: no request of it is served. Said of somebody
 * else ("audio is disabled for this account") it stands behind. */
static bool speaks_of_us(struct str text)
{
    for (size_t i = 0; i < LENGTH(us_words); i++) {
        const struct str whom = str_of(us_words[i]);
        const ptrdiff_t at = str_find_nocase(text, whom);
        assert(at < 0 || (size_t)at + whom.len <= text.len);
        if (at >= 0 && any_in((struct str){text.at + at, text.len - (size_t)at},
                              barred_words, LENGTH(barred_words))) {
            return true;
        }
    }
    return false;
}

static bool is_bare(struct str text)
{
    text = str_trim(text);
    while (str_ends(text, STR(".")) || str_ends(text, STR("!"))) {
        text.len--;
    }
    for (size_t i = 0; i < LENGTH(bare_phrases); i++) {
        if (str_eq_nocase(text, str_of(bare_phrases[i]))) {
            return true;
        }
    }
    return text.len == 0;
}

static bool speaks_of_path(const struct provider_error *error)
{
    return error->worded &&
           any_in(error->message, path_words, LENGTH(path_words));
}

bool provider_error_is_channel(const struct provider_error *error)
{
    if (!error->json || !error->told) {
        return true;
    }
    if (error->worded && speaks_of_us(error->message)) {
        return true; /* because of what was asked for before, too */
    }
    if (provider_error_is_moderation(error)) {
        return false;
    }
    return speaks_of_address(error->code) || speaks_of_address(error->type) ||
           speaks_of_address(error->inner) ||
           (error->worded && speaks_of_address(error->message)) ||
           told_any(error, place_words, LENGTH(place_words)) ||
           speaks_of_path(error) ||
           (error->flat && !error->type.len &&
            is_bare(error->worded ? error->message : STR("")) &&
            (!error->code.len || is_bare(error->code) ||
             (error->code.at[0] >= '0' && error->code.at[0] <= '9')));
}

bool provider_error_denies_task(const struct provider_error *error)
{
    if (!error->told || speaks_of_path(error)) {
        return false;
    }
    if (error->flat) {
        return told_any(error, task_words, LENGTH(task_words));
    }
    if (error->status == 404) {
        return true;
    }
    return str_eq_nocase(error->type, STR("invalid_request_error")) ||
           (error->worded &&
            any_in(error->message, unknown_id_words, LENGTH(unknown_id_words)));
}

bool provider_error_says(const struct provider_error *error, const char *word)
{
    assert(word[0]);
    const struct str part = str_of(word);
    return str_eq_nocase(error->code, part) ||
           (!error->flat && str_eq_nocase(error->type, part)) ||
           str_starts(error->lead, part);
}
