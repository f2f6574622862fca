#include "core/s3_reply.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The codes of "Error responses" in the Amazon S3 API reference that say more
 * than their status does. */
static const struct {
    const char *code;
    enum s3_verdict verdict;
} codes[] = {
    {"SlowDown", S3_SLOW},
    {"SlowDownRead", S3_SLOW},
    {"SlowDownWrite", S3_SLOW},
    {"ServiceUnavailable", S3_SLOW},
    {"Throttling", S3_SLOW},
    {"ThrottlingException", S3_SLOW},
    {"TooManyRequests", S3_SLOW},
    {"InternalError", S3_AGAIN},
    {"RequestTimeout", S3_AGAIN},
    {"OperationAborted", S3_AGAIN},
    {"ConditionalRequestConflict", S3_AGAIN},
    {"BadDigest", S3_AGAIN},
    {"IncompleteBody", S3_AGAIN},
    {"XAmzContentSHA256Mismatch", S3_AGAIN},
    {"RequestTimeTooSkewed", S3_SKEWED},
    {"ExpiredToken", S3_EXPIRED},
    {"ExpiredTokenException", S3_EXPIRED},
    {"TokenRefreshRequired", S3_EXPIRED},
    {"RequestExpired", S3_EXPIRED},
    {"InvalidToken", S3_EXPIRED},
    {"InvalidAccessKeyId", S3_UNUSABLE},
    {"SignatureDoesNotMatch", S3_UNUSABLE},
    {"AccessDenied", S3_UNUSABLE},
    {"AccountProblem", S3_UNUSABLE},
    {"AllAccessDisabled", S3_UNUSABLE},
    {"InvalidPayer", S3_UNUSABLE},
    {"NotSignedUp", S3_UNUSABLE},
    {"NoSuchBucket", S3_UNUSABLE},
    {"InvalidBucketName", S3_UNUSABLE},
    {"PermanentRedirect", S3_UNUSABLE},
    {"TemporaryRedirect", S3_AGAIN},
    {"AuthorizationHeaderMalformed", S3_UNUSABLE},
    {"IllegalLocationConstraintException", S3_UNUSABLE},
    {"InvalidStorageClass", S3_UNUSABLE},
    {"AccessControlListNotSupported", S3_UNUSABLE},
    {"KMS.DisabledException", S3_UNUSABLE},
    {"KMS.NotFoundException", S3_UNUSABLE},
    {"QuotaExceeded", S3_UNUSABLE},
    {"XMinioStorageFull", S3_UNUSABLE},
    {"NoSuchKey", S3_MISSING},
    {"NoSuchUpload", S3_MISSING},
    {"PreconditionFailed", S3_EXISTS},
    {"NotImplemented", S3_CANT},
};

/* What stores say of a body in frames, a trailer, a checksum or a condition
 * that they don't take: besides 501, whatever their parser trips over. */
static const char *const forms[] = {
    "NotImplemented",
    "InvalidArgument",
    "InvalidRequest",
    "InvalidDigest",
    "BadDigest",
    "IncompleteBody",
    "MissingContentLength",
    "MalformedTrailerError",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "SignatureDoesNotMatch",
};

/** A refusal with a code that speaks of something else is none of the form. */
static bool is_of_form(int status, const char *code)
{
    for (size_t i = 0; i < COUNT(forms); i++) {
        if (strcmp(forms[i], code) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (strcmp(codes[i].code, code) == 0) {
            return false;
        }
    }
    return status == 400 || status == 411 || status == 415 || status == 501;
}

static enum s3_verdict verdict_of_status(int status)
{
    static const struct {
        int status;
        enum s3_verdict verdict;
    } rows[] = {
        {301, S3_UNUSABLE}, {400, S3_UNUSABLE}, {401, S3_UNUSABLE},
        {403, S3_UNUSABLE}, {404, S3_MISSING},  {405, S3_UNUSABLE},
        {411, S3_UNUSABLE}, {412, S3_EXISTS},   {429, S3_SLOW},
        {501, S3_CANT},     {503, S3_SLOW},     {507, S3_UNUSABLE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].status == status) {
            return rows[i].verdict;
        }
    }
    return status >= 200 && status <= 299 ? S3_DONE : S3_AGAIN;
}

struct str s3_xml(struct str body, const char *name, size_t *at)
{
    assert(*at <= body.len && name[0]);
    char open[64];
    char close[64];
    struct str opening = {open,
                          (size_t)snprintf(open, sizeof open, "<%s>", name)};
    struct str closing = {close,
                          (size_t)snprintf(close, sizeof close, "</%s>", name)};
    if (*at > body.len || opening.len >= sizeof open) {
        return (struct str){0};
    }
    const char *start = body.len > *at ? memmem(body.at + *at, body.len - *at,
                                                opening.at, opening.len)
                                       : NULL;
    if (!start) {
        return (struct str){0};
    }
    start += opening.len;
    size_t left = body.len - (size_t)(start - body.at);
    const char *end = memmem(start, left, closing.at, closing.len);
    if (!end) {
        return (struct str){0};
    }
    *at = (size_t)(end - body.at) + closing.len;
    return (struct str){start, (size_t)(end - start)};
}

void s3_xml_decode(struct buf *out, struct str text)
{
    const struct {
        struct str name;
        char c;
    } entities[] = {
        {STR("&amp;"), '&'},  {STR("&lt;"), '<'},    {STR("&gt;"), '>'},
        {STR("&quot;"), '"'}, {STR("&apos;"), '\''}, {STR("&#34;"), '"'},
        {STR("&#39;"), '\''},
    };
    while (text.len) {
        size_t len = 1;
        char c = text.at[0];
        for (size_t i = 0; c == '&' && len == 1 && i < COUNT(entities); i++) {
            if (str_starts(text, entities[i].name)) {
                c = entities[i].c;
                len = entities[i].name.len;
            }
        }
        buf_add_char(out, c);
        text = (struct str){text.at + len, text.len - len};
    }
}

/** Cut, and without what could break a line of a log. */
static void copy_plain(struct str text, char *out, size_t out_bytes)
{
    size_t len = text.len < out_bytes - 1 ? text.len : out_bytes - 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        out[i] = (char)(c < 0x20 || c > 0x7e ? ' ' : c);
    }
    out[len] = '\0';
}

void s3_reply_read(int status, struct str body, struct s3_reply *reply)
{
    *reply = (struct s3_reply){.verdict = verdict_of_status(status)};
    bool good = reply->verdict == S3_DONE;
    size_t at = 0;
    reply->form = !good && is_of_form(status, "");
    ptrdiff_t error = str_find_nocase(body, STR("<Error"));
    if (error < 0) {
        return;
    }
    body = (struct str){body.at + error, body.len - (size_t)error};
    copy_plain(s3_xml(body, "Code", &at), reply->code, sizeof reply->code);
    at = 0;
    copy_plain(s3_xml(body, "Message", &at), reply->message,
               sizeof reply->message);
    if (good) {
        reply->verdict = S3_AGAIN; /* said so late that the head was gone */
    }
    if (status == 404 && reply->code[0]) {
        reply->verdict = S3_UNUSABLE; /* of something else than the object */
    }
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (strcmp(codes[i].code, reply->code) == 0) {
            reply->verdict = codes[i].verdict;
        }
    }
    reply->form = is_of_form(status, reply->code);
}

void s3_reply_words(int status, const struct s3_reply *reply, char *out,
                    size_t out_bytes)
{
    assert(out_bytes > 0);
    snprintf(out, out_bytes, "S3 answered %d%s%s%s%s", status,
             reply->code[0] ? " " : "", reply->code,
             reply->message[0] ? ": " : "", reply->message);
}

/* ---- times ---- */

static int64_t ms_of(struct tm *tm)
{
    return (int64_t)timegm(tm) * 1000;
}

static bool copy_text(struct str text, char out[static 40])
{
    if (text.len >= 40) {
        return false;
    }
    memcpy(out, text.at ? text.at : "", text.len);
    out[text.len] = '\0';
    return true;
}

int64_t s3_time(struct str text)
{
    char copy[40];
    struct tm tm = {0};
    if (!copy_text(text, copy) || !strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm)) {
        return -1;
    }
    return ms_of(&tm);
}

int64_t s3_http_date(struct str text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char copy[40];
    char month[4];
    struct tm tm = {0};
    if (!copy_text(text, copy) ||
        sscanf(copy, "%*3s, %2d %3s %4d %2d:%2d:%2d", &tm.tm_mday, month,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6) {
        return -1;
    }
    const char *at = strstr(months, month);
    if (!at || strlen(month) != 3) {
        return -1;
    }
    tm.tm_mon = (int)(at - months) / 3;
    tm.tm_year -= 1900;
    return ms_of(&tm);
}

/* ---- base64 ---- */

void s3_base64(const unsigned char hash[32], char out[static 45])
{
    EVP_EncodeBlock((unsigned char *)out, hash, 32);
}

bool s3_base64_of_hex(const char *hex, char out[static 45])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[32];
    out[0] = '\0';
    if (!hex || strlen(hex) != 64) {
        return false;
    }
    for (size_t i = 0; i < 32; i++) {
        const char *high = strchr(digits, hex[2 * i]);
        const char *low = strchr(digits, hex[2 * i + 1]);
        if (!high || !low) {
            return false;
        }
        hash[i] = (unsigned char)((high - digits) * 16 + (low - digits));
    }
    s3_base64(hash, out);
    return true;
}
