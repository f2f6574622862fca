#include "core/aws.h"

#include "core/s3_reply.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct str next_line(struct str *rest)
{
    const char *end = memchr(rest->at, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->at) : rest->len;
    struct str line = {rest->at, len};
    len += end ? 1 : 0;
    *rest = (struct str){rest->at + len, rest->len - len};
    return line;
}

/** Whether "[…]" names our profile. */
static bool is_section(struct str line, const char *profile, bool config)
{
    struct str name = {line.at + 1, line.len - 1};
    const char *end = memchr(name.at, ']', name.len);
    name.len = end ? (size_t)(end - name.at) : 0;
    name = str_trim(name);
    const struct str word = STR("profile");
    if (config && str_starts(name, word) && name.len > word.len &&
        (name.at[word.len] == ' ' || name.at[word.len] == '\t')) {
        name = str_trim((struct str){name.at + word.len, name.len - word.len});
    } else if (config && strcmp(profile, "default") != 0) {
        return false;
    }
    return str_eq(name, str_of(profile));
}

struct str aws_file_value(struct str text, const char *profile, bool config,
                          const char *name)
{
    assert(name[0]);
    bool ours = false;
    struct str found = {0};
    while (text.len) {
        struct str line = next_line(&text);
        bool nested = line.len && (line.at[0] == ' ' || line.at[0] == '\t');
        line = str_trim(line);
        if (line.len == 0 || line.at[0] == '#' || line.at[0] == ';') {
            continue;
        }
        if (line.at[0] == '[') {
            ours = is_section(line, profile, config);
            continue;
        }
        const char *equals = memchr(line.at, '=', line.len);
        if (!ours || nested || !equals) {
            continue;
        }
        size_t len = (size_t)(equals - line.at);
        if (str_eq_nocase(str_trim((struct str){line.at, len}), str_of(name))) {
            found = str_trim((struct str){equals + 1, line.len - len - 1});
        }
    }
    return found.len ? found : (struct str){0};
}

static bool copy(struct str text, char *out, size_t out_bytes)
{
    assert(out_bytes > 0);
    if (text.len >= out_bytes ||
        (text.len && memchr(text.at, '\0', text.len))) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) { /* it becomes a header */
        if ((unsigned char)text.at[i] <= ' ' || text.at[i] == 0x7f) {
            return false;
        }
    }
    if (text.len) {
        memcpy(out, text.at, text.len);
    }
    out[text.len] = '\0';
    return true;
}

bool aws_keys_set(struct aws_keys *keys, struct str id, struct str secret,
                  struct str token)
{
    keys->expires_ms = 0;
    return id.len > 0 && secret.len > 0 &&
           copy(id, keys->id, sizeof keys->id) &&
           copy(secret, keys->secret, sizeof keys->secret) &&
           copy(token, keys->token, sizeof keys->token);
}

/** An expiry that can't be read would end the credentials never. */
static bool set_expiry(struct aws_keys *keys, struct str text)
{
    int64_t at_ms = text.len ? s3_time(text) : 0;
    keys->expires_ms = at_ms;
    return at_ms >= 0;
}

static struct str member(const json_t *root, const char *name)
{
    return str_of(json_string_value(json_object_get(root, name)));
}

static bool read_members(const json_t *root, const char *token,
                         struct aws_keys *keys)
{
    return aws_keys_set(keys, member(root, "AccessKeyId"),
                        member(root, "SecretAccessKey"), member(root, token)) &&
           set_expiry(keys, member(root, "Expiration"));
}

bool aws_keys_read_json(struct str body, struct aws_keys *keys)
{
    json_t *root = json_loadb(body.at ? body.at : "", body.len, 0, NULL);
    const bool good = read_members(root, "Token", keys);
    json_decref(root);
    return good;
}

bool aws_keys_read_process(struct str body, struct aws_keys *keys)
{
    json_t *root = json_loadb(body.at ? body.at : "", body.len, 0, NULL);
    const bool good =
        json_integer_value(json_object_get(root, "Version")) == 1 &&
        read_members(root, "SessionToken", keys);
    json_decref(root);
    return good;
}

static struct str xml(struct str body, const char *name)
{
    size_t at = 0;
    return s3_xml(body, name, &at);
}

const char *aws_domain(const char *region)
{
    static const char *const domains[][2] = {
        {"cn-", "amazonaws.com.cn"},    {"us-iso-", "c2s.ic.gov"},
        {"us-isob-", "sc2s.sgov.gov"},  {"us-isof-", "csp.hci.ic.gov"},
        {"eu-isoe-", "cloud.adc-e.uk"}, {"eusc-", "amazonaws.eu"},
    };
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        if (str_starts(str_of(region), str_of(domains[i][0]))) {
            return domains[i][1];
        }
    }
    return "amazonaws.com";
}

/** Of the AWS SDKs' reference, "AWS STS regional endpoints". */
static bool is_legacy(const char *region)
{
    static const char *const regions[] = {
        "ap-northeast-1", "ap-south-1",   "ap-southeast-1", "ap-southeast-2",
        "ca-central-1",   "eu-central-1", "eu-north-1",     "eu-west-1",
        "eu-west-2",      "eu-west-3",    "sa-east-1",      "us-east-1",
        "us-east-2",      "us-west-1",    "us-west-2",
    };
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        if (strcmp(region, regions[i]) == 0) {
            return true;
        }
    }
    return false;
}

void aws_sts(const char *region, bool legacy, struct aws_sts *sts)
{
    const bool global = !region[0] || strcmp(region, "aws-global") == 0 ||
                        (legacy && is_legacy(region));
    snprintf(sts->region, sizeof sts->region, "%s",
             global ? "us-east-1" : region);
    snprintf(sts->url, sizeof sts->url, "https://sts.%.60s%s%s/",
             global ? "" : region, global ? "" : ".", aws_domain(region));
}

bool aws_keys_read_xml(struct str body, struct aws_keys *keys)
{
    return aws_keys_set(keys, xml(body, "AccessKeyId"),
                        xml(body, "SecretAccessKey"),
                        xml(body, "SessionToken")) &&
           set_expiry(keys, xml(body, "Expiration"));
}
