#include "edge/s3/credentials_own.h"

#include "base/buf.h"
#include "base/settings_check.h"
#include "core/digest.h"
#include "edge/s3/aws_files.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define STS_VERSION "Version=2011-06-15"

/* ---- where it is asked ---- */

/** Of the environment, of the start, or of the profile as it is now. */
static void region_of(const struct credentials *c,
                      const struct source_files *files, char out[static 64])
{
    const char *said = aws_env("AWS_REGION");
    said = said ? said : aws_env("AWS_DEFAULT_REGION");
    said = said ? said : c->region;
    struct str value = said[0]
                           ? str_of(said)
                           : aws_file_value(buf_str(&files->text[FILE_CONFIG]),
                                            files->profile, true, "region");
    snprintf(out, 64, "%.*s", (int)value.len, value.at ? value.at : "");
}

static bool is_legacy(const struct source_files *files)
{
    const char *said = aws_env("AWS_STS_REGIONAL_ENDPOINTS");
    const struct str word =
        said ? str_of(said)
             : source_files_value(files, "sts_regional_endpoints");
    return str_eq_nocase(word, STR("legacy"));
}

/** Of the environment; null: none. */
static const char *endpoint_said(void)
{
    const char *ignored = aws_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    if (ignored && strcasecmp(ignored, "true") == 0) {
        return NULL;
    }
    const char *said = aws_env("AWS_ENDPOINT_URL_STS");
    return said ? said : aws_env("AWS_ENDPOINT_URL");
}

static bool find_sts(struct credentials *c, const struct source_files *files)
{
    char region[64];
    const char *said = endpoint_said();
    region_of(c, files, region);
    if (!said && !region[0] &&
        aws_trouble(files->trouble[FILE_CONFIG], "AWS_CONFIG_FILE")) {
        /* another region's would refuse */
        source_unreadable(c, "a shared file can't be read", files, FILE_CONFIG);
        return false;
    }
    aws_sts(region, is_legacy(files), &c->sts);
    if (!said) {
        return true;
    }
    const struct setting_verdict verdict =
        setting_check(FORM_ENDPOINT, str_of(said));
    if (verdict.fault || strlen(said) >= sizeof c->sts.url) {
        source_failed(c,
                      "the endpoint for STS (AWS_ENDPOINT_URL_STS, "
                      "AWS_ENDPOINT_URL)",
                      verdict.fault ? verdict.fault : "is too long");
        return false;
    }
    snprintf(c->sts.url, sizeof c->sts.url, "%s", said);
    snprintf(c->sts.region, sizeof c->sts.region, "%s",
             region[0] ? region : "us-east-1");
    return true;
}

/* ---- what it is asked ---- */

static void add_field(struct buf *body, const char *name, struct str value)
{
    if (value.len > 0) {
        buf_printf(body, "&%s=", name);
        sigv4_encode(body, value, false);
    }
}

static struct str session_of(struct str said)
{
    const char *name = aws_env("AWS_ROLE_SESSION_NAME");
    return said.len ? said : str_of(name ? name : "pixverse-worker");
}

void source_assume(struct credentials *c, const struct source_files *files,
                   const struct aws_role *role)
{
    assert(!c->call);
    if (!source_file_is_there(files, FILE_IDENTITY)) {
        source_unreadable(c, "the web identity's token can't be read", files,
                          FILE_IDENTITY);
        return;
    }
    if (!find_sts(c, files)) {
        return;
    }
    buf_init(&c->body, 0);
    buf_add_text(&c->body, "Action=AssumeRoleWithWebIdentity&" STS_VERSION);
    add_field(&c->body, "RoleSessionName", session_of(role->session_name));
    add_field(&c->body, "RoleArn", role->arn);
    add_field(&c->body, "DurationSeconds", role->duration_s);
    add_field(&c->body, "WebIdentityToken",
              str_trim(buf_str(&files->text[FILE_IDENTITY])));
    source_ask(c, ASKING_STS, "POST", c->sts.url, NULL);
}

bool source_web_identity(struct credentials *c,
                         const struct source_files *files)
{
    const struct aws_role role = {.arn = str_of(aws_env("AWS_ROLE_ARN"))};
    if (!role.arn.at || !aws_env("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        return false;
    }
    source_assume(c, files, &role);
    return true;
}

/* ---- roles, one with the keys of the other ---- */

struct signing {
    struct sigv4_header headers[4];
    char date[SIGV4_DATE_BYTES];
    char hash[SIGV4_HEX_BYTES];
    char lines[3][9000]; /* date, token, authorization */
};

/** The host and, where it isn't the usual one, port of a URL; what follows. */
static struct str authority_of(const char *url, struct str *path)
{
    const char *at = strstr(url, "://");
    struct str rest = str_of(at ? at + 3 : url);
    size_t len = strcspn(rest.at, "/");
    *path =
        len < rest.len ? (struct str){rest.at + len, rest.len - len} : STR("/");
    return (struct str){rest.at, len};
}

/** False: no memory. */
static bool sign(struct credentials *c, const struct sigv4_key *key,
                 struct signing *s)
{
    unsigned char sum[DIGEST_BYTES];
    char signature[SIGV4_HEX_BYTES];
    struct buf authorization;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    struct sigv4_request request = {.method = "POST", .headers = s->headers};
    const struct str host = authority_of(c->sts.url, &request.path);
    digest_of(buf_str(&c->body), sum);
    str_hex(sum, sizeof sum, s->hash);
    sigv4_date(now_ms, s->date);
    s->headers[0] = (struct sigv4_header){"host", host};
    s->headers[1] = (struct sigv4_header){"x-amz-date", str_of(s->date)};
    s->headers[2] = (struct sigv4_header){"x-amz-security-token", key->token};
    request.headers_len = key->token.len ? 3 : 2;
    request.payload = str_of(s->hash);
    const struct sigv4_scope scope = {c->sts.region, "sts", now_ms};
    buf_init(&authorization, 0);
    const bool good =
        sigv4_sign(&request, key, &scope, &authorization, signature);
    snprintf(s->lines[0], sizeof s->lines[0], "x-amz-date: %s", s->date);
    snprintf(s->lines[1], sizeof s->lines[1], "Authorization: %.*s",
             (int)authorization.len, buf_str(&authorization).at);
    snprintf(s->lines[2], sizeof s->lines[2], "x-amz-security-token: %.*s",
             (int)key->token.len, key->token.at ? key->token.at : "");
    buf_done(&authorization);
    return good;
}

static void assume_next(struct credentials *c, struct aws_keys *keys)
{
    assert(c->roles_len > 0 && !c->call);
    struct signing s;
    const struct source_role *role = &c->roles[--c->roles_len];
    const struct sigv4_key key = {
        .id = str_of(keys->id),
        .secret = str_of(keys->secret),
        .token = keys->token[0] ? str_of(keys->token) : (struct str){0},
    };
    buf_init(&c->body, 0);
    buf_add_text(&c->body, "Action=AssumeRole&" STS_VERSION);
    add_field(&c->body, "RoleSessionName", str_of(role->session_name));
    add_field(&c->body, "RoleArn", str_of(role->arn));
    add_field(&c->body, "DurationSeconds", str_of(role->duration_s));
    add_field(&c->body, "ExternalId", str_of(role->external_id));
    if (!c->body.failed && sign(c, &key, &s)) {
        const char *headers[] = {s.lines[0], s.lines[1], s.lines[2]};
        source_ask_as(c, ASKING_STS, "POST", c->sts.url, headers,
                      key.token.len ? 3 : 2);
    } else {
        aws_wipe(&c->body);
        source_failed(c, "no memory", "");
    }
    explicit_bzero(&s, sizeof s);
    explicit_bzero(keys, sizeof *keys);
}

static bool keep(struct str text, char *out, size_t out_bytes)
{
    snprintf(out, out_bytes, "%.*s", (int)text.len, text.at ? text.at : "");
    return text.len < out_bytes;
}

bool source_plan_roles(struct credentials *c, const struct source_files *files)
{
    const struct aws_chain *chain = &files->chain;
    assert(chain->roles_len <= AWS_ROLES_MAX && c->roles_len == 0);
    for (int i = 0; i < chain->roles_len; i++) {
        const struct aws_role *said = &chain->roles[i];
        struct source_role *role = &c->roles[i];
        if (!keep(said->arn, role->arn, sizeof role->arn) ||
            !keep(said->external_id, role->external_id,
                  sizeof role->external_id) ||
            !keep(session_of(said->session_name), role->session_name,
                  sizeof role->session_name) ||
            !keep(said->duration_s, role->duration_s,
                  sizeof role->duration_s)) {
            source_failed(c,
                          "a role_arn, external_id, role_session_name or "
                          "duration_seconds is too long",
                          files->profile);
            return false;
        }
    }
    if (chain->roles_len > 0 && !find_sts(c, files)) {
        return false;
    }
    c->roles_len = chain->roles_len;
    c->assume = assume_next;
    return true;
}
