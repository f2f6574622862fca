#include "edge/kafka/tokens.h"

#include "base/buf.h"
#include "core/bearer.h"
#include "core/msk.h"
#include "edge/kafka/tokens_aws.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TOKEN_BYTES_MAX 65536
#define MSK "aws-msk-iam"

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** A whole file of one line; its path is no secret. */
static bool read_file(const char *path, struct buf *token, struct err *err)
{
    char piece[4096];
    size_t n;
    FILE *file = fopen(path, "re");
    if (!file) {
        return err_set(err, ERR_TRANSIENT, "%s can't be read: %s", path,
                       strerror(errno));
    }
    while (!token->failed && (n = fread(piece, 1, sizeof piece, file)) > 0) {
        buf_add(token, piece, n);
    }
    const bool whole = !ferror(file) && !token->failed;
    fclose(file);
    explicit_bzero(piece, sizeof piece);
    return whole || err_set(err, ERR_TRANSIENT, "%s can't be read%s", path,
                            token->failed ? ": it is longer than 64 KiB" : "");
}

static bool take_from_file(const char *path, struct buf *token,
                           struct bearer *bearer, struct err *err)
{
    return read_file(path, token, err) &&
           (bearer_read(str_trim(buf_str(token)), wall_ms(), bearer, err) ||
            err_wrap(err, "the token in %s", path));
}

static bool take_from_msk(const char *said, struct buf *token,
                          struct bearer *bearer, struct err *err)
{
    const int64_t now_ms = wall_ms();
    int64_t life_ms = 0;
    if (!kafka_tokens_aws(said[0] == ':' ? said + 1 : "", now_ms, token,
                          &life_ms, err)) {
        return false;
    }
    snprintf(bearer->principal, sizeof bearer->principal, MSK);
    bearer->until_ms = now_ms + life_ms;
    return true;
}

/** On the client's own thread. What it is told stands for the client's errors,
 * so no piece of a token is in it. */
static void on_refresh(rd_kafka_t *client, const char *from, void *opaque)
{
    static const char file[] = "file://";
    struct err err = {0};
    struct buf token;
    struct bearer bearer;
    char why[300] = "";
    (void)opaque;
    assert(from);
    buf_init(&token, TOKEN_BYTES_MAX);
    const bool good =
        strncmp(from, file, sizeof file - 1) == 0
            ? take_from_file(from + sizeof file - 1, &token, &bearer, &err)
            : take_from_msk(from + sizeof MSK - 1, &token, &bearer, &err);
    if (good) {
        const struct str text = str_trim(buf_str(&token));
        token.bytes[text.at - token.bytes + (ptrdiff_t)text.len] = '\0';
        if (rd_kafka_oauthbearer_set_token(client, text.at, bearer.until_ms,
                                           bearer.principal, NULL, 0, why,
                                           sizeof why) != 0) {
            rd_kafka_oauthbearer_set_token_failure(client, why);
        }
    } else {
        rd_kafka_oauthbearer_set_token_failure(client, err.text);
    }
    if (token.bytes) {
        explicit_bzero(token.bytes, token.size);
    }
    buf_done(&token);
}

bool kafka_tokens_use(rd_kafka_conf_t *conf, const char *from,
                      const char *brokers, struct err *err)
{
    char region[MSK_REGION_BYTES];
    char whole[MSK_REGION_BYTES + sizeof MSK + 1];
    char why[128];
    assert(from[0]);
    if (strcmp(from, MSK) == 0 && brokers &&
        msk_region(str_of(brokers), region)) {
        snprintf(whole, sizeof whole, MSK ":%s", region);
        from = whole;
    }
    /* What the callback is given. */
    if (rd_kafka_conf_set(conf, "sasl.oauthbearer.config", from, why,
                          sizeof why) != RD_KAFKA_CONF_OK) {
        return err_set(err, ERR_PERMANENT,
                       "librdkafka %s takes no source of tokens",
                       rd_kafka_version_str());
    }
    rd_kafka_conf_enable_sasl_queue(conf, 1);
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
    return true;
}

bool kafka_tokens_serve(rd_kafka_t *client, struct err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_sasl(client);
    if (!queue) {
        return true;
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(client);
    if (error) {
        err_set(err, ERR_TRANSIENT, "no thread for Kafka's tokens: %s",
                rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return false;
    }
    return true;
}
