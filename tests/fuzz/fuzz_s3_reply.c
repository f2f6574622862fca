/* tests/run: long */
#include "fuzz.h"

#include "core/aws.h"
#include "core/s3_reply.h"

/* What an S3 and the servers of credentials may answer. */

static void walk(struct str body, const char *name)
{
    struct buf text;
    size_t at = 0;
    buf_init(&text, 0);
    for (int i = 0; i < 1000; i++) {
        size_t before = at;
        struct str found = s3_xml(body, name, &at);
        if (!found.at) {
            break;
        }
        CHECK(at > before && at <= body.len);
        CHECK(found.at >= body.at &&
              found.at + found.len <= body.at + body.len);
        buf_reset(&text);
        s3_xml_decode(&text, found);
        CHECK(text.len <= found.len);
        (void)s3_time(found);
    }
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 204, 301, 400, 403, 404,
                                   409, 412, 429, 500, 501, 503};
    struct input input = input_of(data, size);
    struct s3_reply reply;
    struct aws_keys keys;
    char words[300];
    int status = statuses[input_byte(&input) % 12];
    struct str body = input_rest(&input);
    s3_reply_read(status, body, &reply);
    CHECK(strlen(reply.code) < sizeof reply.code);
    CHECK(strlen(reply.message) < sizeof reply.message);
    CHECK(reply.verdict != S3_DONE || status < 300);
    s3_reply_words(status, &reply, words, sizeof words);
    walk(body, "Upload");
    walk(body, "Key");
    walk(body, "UploadId");
    (void)s3_http_date(body);
    if (aws_keys_read_json(body, &keys) || aws_keys_read_xml(body, &keys)) {
        CHECK(keys.id[0] && keys.secret[0]);
    }
    struct str value =
        aws_file_value(body, "default", false, "aws_secret_access_key");
    CHECK(!value.at ||
          (value.at >= body.at && value.at + value.len <= body.at + body.len));
    return 0;
}
